// Leases: granted, kept alive, asked, listed, revoked, expired.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func leaseCases() []testCase {
	return []testCase{
		{"lease: keys of a revoked lease are gone", leaseRevoke},
		{"lease: an expired lease takes its keys with it, not before its time", leaseExpiry},
		{"lease: a lease that is kept alive lives on", leaseKeepAlive},
		{"lease: time to live tells keys, and -1 for an unknown one", leaseTimeToLive},
	}
}

func leaseRevoke(t *t) {
	lease, err := t.client.Grant(t, 100)
	t.must(err)
	t.put("a", "1", clientv3.WithLease(lease.ID))
	t.put("b", "1", clientv3.WithLease(lease.ID))
	t.put("b", "2")
	_, err = t.client.Revoke(t, lease.ID)
	t.must(err)
	t.equal(len(t.get("a").Kvs), 0, "the attached key")
	t.equal(len(t.get("b").Kvs), 1, "the key that was detached by a put without lease")
	_, err = t.client.Revoke(t, lease.ID)
	t.check(errors.Is(err, rpctypes.ErrLeaseNotFound), fmt.Sprintf("want ErrLeaseNotFound, got %v", err))
}

func leaseExpiry(t *t) {
	granted := time.Now()
	lease, err := t.client.Grant(t, 2)
	t.must(err)
	t.put("e", "1", clientv3.WithLease(lease.ID))
	event := t.events(t.client.Watch(t, t.prefix+"e", clientv3.WithFilterPut()), 1)[0]
	lived := time.Since(granted)
	t.equal(event.Type, clientv3.EventTypeDelete, "event")
	t.check(lived >= 1900*time.Millisecond, fmt.Sprintf("expired after %s, too early", lived))
	t.check(lived < 12*time.Second, fmt.Sprintf("expired after %s, too late", lived))
}

func leaseKeepAlive(t *t) {
	lease, err := t.client.Grant(t, 2)
	t.must(err)
	t.put("k", "1", clientv3.WithLease(lease.ID))
	ctx, cancel := context.WithCancel(t)
	answers, err := t.client.KeepAlive(ctx, lease.ID)
	t.must(err)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		answer := <-answers
		t.check(answer != nil, "a keepalive answer")
		t.equal(answer.TTL, 2, "time to live")
	}
	t.equal(len(t.get("k").Kvs), 1, "the key after more than twice its time")
	cancel()
	once, err := t.client.KeepAliveOnce(t, lease.ID)
	t.must(err)
	t.equal(once.TTL, 2, "keep alive once")
	_, err = t.client.KeepAliveOnce(t, 987654)
	t.check(errors.Is(err, rpctypes.ErrLeaseNotFound), fmt.Sprintf("want ErrLeaseNotFound, got %v", err))
}

func leaseTimeToLive(t *t) {
	lease, err := t.client.Grant(t, 500)
	t.must(err)
	t.put("x", "1", clientv3.WithLease(lease.ID))
	left, err := t.client.TimeToLive(t, lease.ID, clientv3.WithAttachedKeys())
	t.must(err)
	t.equal([]any{left.GrantedTTL, len(left.Keys), string(left.Keys[0])}, []any{500, 1, t.prefix + "x"}, "time to live")
	t.check(left.TTL >= 495 && left.TTL <= 500, fmt.Sprintf("%d s left of 500", left.TTL))
	unknown, err := t.client.TimeToLive(t, 987655)
	t.must(err)
	t.equal(unknown.TTL, -1, "an unknown lease")
	all, err := t.client.Leases(t)
	t.must(err)
	found := false
	for _, one := range all.Leases {
		found = found || one.ID == lease.ID
	}
	t.check(found, "the lease is listed")
}
