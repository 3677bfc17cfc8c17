// Writes a certificate authority, a server and a client certificate signed by it, and an RSA key pair into a directory. With -intermediate the
// authority is signed by another one, whose certificate nobody gets.
// The interop suite and the bench run it once per TLS run. The keys must never be used beyond loopback.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

func main() {
	intermediate := flag.Bool("intermediate", false, "the authority is signed by another one")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: certificates [-intermediate] DIRECTORY")
	}
	dir := flag.Arg(0)
	must(os.MkdirAll(dir, 0o700))
	authorityKey := newKey()
	authority := authorityTemplate(1, "cairn interop authority")
	above, aboveKey := authority, authorityKey
	if *intermediate {
		above, aboveKey = authorityTemplate(4, "cairn interop root"), newKey()
	}
	writeCertificate(dir, "ca", authority, above, authorityKey, aboveKey)

	server := template(2, "cairn interop server")
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	server.DNSNames = []string{"localhost"}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	writeCertificate(dir, "server", server, authority, newKey(), authorityKey)

	client := template(3, "root")
	client.KeyUsage = x509.KeyUsageDigitalSignature
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	writeCertificate(dir, "client", client, authority, newKey(), authorityKey)

	account, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	writeKey(filepath.Join(dir, "account.key"), account)
	public, err := x509.MarshalPKIXPublicKey(&account.PublicKey)
	must(err)
	writePem(filepath.Join(dir, "account.pub"), "PUBLIC KEY", public)
}

func authorityTemplate(serial int64, name string) *x509.Certificate {
	authority := template(serial, name)
	authority.IsCA = true
	authority.BasicConstraintsValid = true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return authority
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"cairn"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(7 * 24 * time.Hour),
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func writeCertificate(dir, name string, leaf, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) {
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, &key.PublicKey, signer)
	must(err)
	writePem(filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
	writeKey(filepath.Join(dir, name+".key"), key)
}

func writeKey(path string, key crypto.PrivateKey) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	writePem(path, "PRIVATE KEY", der)
}

func writePem(path, kind string, der []byte) {
	must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
