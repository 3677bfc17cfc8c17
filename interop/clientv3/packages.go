// The client's other packages: kubernetes, namespace, leasing, mirror, ordering.
package main

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/ordering"
)

func packageCases() []testCase {
	return []testCase{
		{"kubernetes: optimistic put and delete, paged list, count", kubernetesClient},
		{"namespace: a prefix that nobody sees", namespaces},
		{"leasing: a leased key is read from memory and written through", leasingClient},
		{"mirror: the base and then every update", mirrors},
		{"ordering: revisions never go back", orderings},
	}
}

func kubernetesClient(t *t) {
	client := &kubernetes.Client{Client: t.client}
	client.Kubernetes = client
	k := client.Kubernetes
	created, err := k.OptimisticPut(t, t.prefix+"o", []byte("1"), 0, kubernetes.PutOptions{GetOnFailure: true})
	t.must(err)
	t.check(created.Succeeded, "created")
	again, err := k.OptimisticPut(t, t.prefix+"o", []byte("2"), 0, kubernetes.PutOptions{GetOnFailure: true})
	t.must(err)
	t.check(!again.Succeeded, "a second creation must fail")
	t.equal(string(again.KV.Value), "1", "the key as it is")
	for i := range 25 {
		t.put(fmt.Sprintf("l%02d", i), "v")
	}
	page, err := k.List(t, t.prefix+"l", kubernetes.ListOptions{Limit: 10})
	t.must(err)
	t.equal([]any{len(page.Kvs), page.Count}, []any{10, 25}, "a page")
	next, err := k.List(t, t.prefix+"l", kubernetes.ListOptions{Limit: 100, Revision: page.Revision, Continue: string(page.Kvs[9].Key) + "\x00"})
	t.must(err)
	t.equal(len(next.Kvs), 15, "the rest")
	count, err := k.Count(t, t.prefix+"l", kubernetes.CountOptions{})
	t.must(err)
	t.equal(count, 25, "count")
	stale, err := k.OptimisticDelete(t, t.prefix+"o", created.Revision-1, kubernetes.DeleteOptions{GetOnFailure: true})
	t.must(err)
	t.check(!stale.Succeeded && stale.KV != nil, "a stale delete must fail and show the key")
	gone, err := k.OptimisticDelete(t, t.prefix+"o", created.Revision, kubernetes.DeleteOptions{})
	t.must(err)
	t.check(gone.Succeeded, "deleted")
}

func namespaces(t *t) {
	kv := namespace.NewKV(t.client.KV, t.prefix+"ns/")
	watcher := namespace.NewWatcher(t.client.Watcher, t.prefix+"ns/")
	channel := watcher.Watch(t, "", clientv3.WithPrefix())
	_, err := kv.Put(t, "a", "1")
	t.must(err)
	response, err := kv.Get(t, "", clientv3.WithPrefix())
	t.must(err)
	t.equal(string(response.Kvs[0].Key), "a", "key without its prefix")
	t.equal(t.get("ns/a").Count, 1, "key with its prefix")
	t.equal(string(t.events(channel, 1)[0].Kv.Key), "a", "event without its prefix")
}

func leasingClient(t *t) {
	kv, stop, err := leasing.NewKV(t.client, t.prefix+"leasing/")
	t.must(err)
	defer stop()
	_, err = kv.Put(t, t.prefix+"a", "1")
	t.must(err)
	for range 3 {
		response, err := kv.Get(t, t.prefix+"a")
		t.must(err)
		t.equal(string(response.Kvs[0].Value), "1", "value")
	}
	_, err = kv.Put(t, t.prefix+"a", "2")
	t.must(err)
	response, err := kv.Get(t, t.prefix+"a")
	t.must(err)
	t.equal(string(response.Kvs[0].Value), "2", "value after a write")
	_, err = kv.Txn(t).If(clientv3.Compare(clientv3.Value(t.prefix+"a"), "=", "2")).Then(clientv3.OpPut(t.prefix+"a", "3")).Commit()
	t.must(err)
	t.equal(string(t.get("a").Kvs[0].Value), "3", "value behind the cache")
}

func mirrors(t *t) {
	for i := range 30 {
		t.put(fmt.Sprintf("m%02d", i), "base")
	}
	syncer := mirror.NewSyncer(t.client, t.prefix+"m", 0)
	base, failed := syncer.SyncBase(t)
	copied := 0
	for response := range base {
		copied += len(response.Kvs)
	}
	for err := range failed {
		t.must(err)
	}
	t.equal(copied, 30, "base")
	ctx, cancel := context.WithCancel(t)
	defer cancel()
	updates := syncer.SyncUpdates(ctx)
	t.put("m00", "changed")
	event := t.events(updates, 1)[0]
	t.equal([]any{event.Type, string(event.Kv.Value)}, []any{mvccpb.Event_PUT, "changed"}, "update")
}

func orderings(t *t) {
	violated := errors.New("a revision went back")
	kv := ordering.NewKV(t.client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error { return violated })
	for range 20 {
		_, err := kv.Put(t, t.prefix+"a", "1")
		t.must(err)
		_, err = kv.Get(t, t.prefix+"a", clientv3.WithSerializable())
		t.must(err)
	}
}
