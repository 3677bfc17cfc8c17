// etcd's own Go client, with its concurrency, leasing, mirror, namespace, ordering and kubernetes packages, against one server.
// Each case has a key prefix of its own and a time limit. Prints a line per case and closes with `N passed, N failed`.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const caseTimeout = 30 * time.Second

// t is what a case works with: a client, a context that ends with the case's time, and a prefix nobody else uses.
type t struct {
	context.Context
	client *clientv3.Client
	prefix string
	dial   func() *clientv3.Client
}

type testCase struct {
	name string
	run  func(t *t)
}

// failure is how a case ends that did not get what it expected.
type failure string

func (t *t) must(err error) {
	if err != nil {
		panic(failure(err.Error()))
	}
}

func (t *t) equal(got, want any, what string) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(failure(fmt.Sprintf("%s: got %v, want %v", what, got, want)))
	}
}

func (t *t) check(ok bool, what string) {
	if !ok {
		panic(failure(what))
	}
}

func (t *t) put(key, value string, options ...clientv3.OpOption) int64 {
	response, err := t.client.Put(t, t.prefix+key, value, options...)
	t.must(err)
	return response.Header.Revision
}

func (t *t) get(key string, options ...clientv3.OpOption) *clientv3.GetResponse {
	response, err := t.client.Get(t, t.prefix+key, options...)
	t.must(err)
	return response
}

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:2379", "the server")
	authority := flag.String("cacert", "", "TLS: the authority")
	certificate := flag.String("cert", "", "TLS: the client's certificate")
	key := flag.String("key", "", "TLS: its key")
	only := flag.String("only", "", "run the cases whose name holds this")
	flag.Parse()

	var security *tls.Config
	if *authority != "" {
		info := transport.TLSInfo{TrustedCAFile: *authority, CertFile: *certificate, KeyFile: *key}
		config, err := info.ClientConfig()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		security = config
	}
	dial := func() *clientv3.Client {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{*endpoint}, TLS: security, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
			DialKeepAliveTime: 30 * time.Second, DialKeepAliveTimeout: 10 * time.Second,
		})
		if err != nil {
			panic(failure(err.Error()))
		}
		return client
	}
	passed, failed := 0, 0
	for i, one := range allCases() {
		if !strings.Contains(one.name, *only) {
			continue
		}
		started := time.Now()
		problem := runCase(one, fmt.Sprintf("case-%02d/", i), dial)
		if problem == "" {
			passed++
			fmt.Printf("ok      %s (%d ms)\n", one.name, time.Since(started).Milliseconds())
			continue
		}
		failed++
		fmt.Printf("FAILED  %s: %s\n", one.name, problem)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

func runCase(one testCase, prefix string, dial func() *clientv3.Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	done := make(chan string, 1)
	go func() {
		defer func() {
			switch problem := recover().(type) {
			case nil:
				done <- ""
			case failure:
				done <- string(problem)
			default:
				panic(problem)
			}
		}()
		client := dial()
		defer client.Close()
		one.run(&t{Context: ctx, client: client, prefix: prefix, dial: dial})
	}()
	select {
	case problem := <-done:
		return problem
	case <-time.After(caseTimeout + 5*time.Second):
		return "did not end"
	}
}

func allCases() []testCase {
	cases := kvCases()
	cases = append(cases, watchCases()...)
	cases = append(cases, leaseCases()...)
	cases = append(cases, concurrencyCases()...)
	cases = append(cases, packageCases()...)
	return append(cases, adminCases()...)
}
