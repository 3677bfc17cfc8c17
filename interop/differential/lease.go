// The keepalive stream of each server, one question and one answer at a time, and the expiry check at the end of a run.
package main

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

type keepAlive struct {
	client  pb.Lease_LeaseKeepAliveClient
	answers chan *pb.LeaseKeepAliveResponse
	ended   chan error
}

func (s *side) openKeepAlive() error {
	client, err := pb.NewLeaseClient(s.conn).LeaseKeepAlive(context.Background())
	if err != nil {
		return err
	}
	k := &keepAlive{client: client, answers: make(chan *pb.LeaseKeepAliveResponse), ended: make(chan error, 1)}
	s.leases = k
	go func() {
		for {
			answer, err := client.Recv()
			if err != nil {
				k.ended <- err
				return
			}
			k.answers <- answer
		}
	}()
	return nil
}

func (k *keepAlive) ask(id int64) (*pb.LeaseKeepAliveResponse, error) {
	if err := k.client.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return nil, err
	}
	select {
	case answer := <-k.answers:
		return answer, nil
	case err := <-k.ended:
		return nil, err
	case <-time.After(callTimeout):
		return nil, fmt.Errorf("no keepalive answer within %s", callTimeout)
	}
}
