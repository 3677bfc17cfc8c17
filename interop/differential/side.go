// One of the two servers: its connection, and calls that send bytes as they are and give back bytes, code and text.
// Requests go out as bytes so that broken ones can be sent too. A call must never hang: each has a time limit.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const callTimeout = 20 * time.Second

type side struct {
	name    string
	conn    *grpc.ClientConn
	streams []*watchStream
	leases  *keepAlive
}

// reply is what a call came to: every message of the answer, or the error's code and text.
type reply struct {
	messages [][]byte
	code     string
	text     string
}

type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *(v.(*[]byte)), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*(v.(*[]byte)) = append([]byte(nil), b...)
	return nil
}

type tlsFiles struct{ ca, cert, key string }

func dial(name, endpoint string, files tlsFiles) (*side, error) {
	transport := insecure.NewCredentials()
	if files.ca != "" {
		authority, err := os.ReadFile(files.ca)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		pair, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
	}
	conn, err := grpc.NewClient("passthrough:///"+endpoint,
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	return &side{name: name, conn: conn}, nil
}

func (s *side) call(method string, request []byte, streamed bool) reply {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if !streamed {
		var answer []byte
		if err := s.conn.Invoke(ctx, method, &request, &answer, grpc.ForceCodec(rawCodec{})); err != nil {
			return failed(err)
		}
		return reply{messages: [][]byte{answer}}
	}
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return failed(err)
	}
	// io.EOF here means that the server has ended the stream: its status comes with RecvMsg.
	if err := stream.SendMsg(&request); err != nil && !errors.Is(err, io.EOF) {
		return failed(err)
	}
	if err := stream.CloseSend(); err != nil {
		return failed(err)
	}
	var answer reply
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return answer
		}
		if err != nil {
			broken := failed(err)
			broken.messages = answer.messages
			return broken
		}
		answer.messages = append(answer.messages, message)
	}
}

// failed reads the status. Go's protobuf puts a no-break space into its texts in some builds, so that nobody compares them; we do.
func failed(err error) reply {
	state := status.Convert(err)
	return reply{code: state.Code().String(), text: strings.ReplaceAll(state.Message(), "\u00a0", " ")}
}
