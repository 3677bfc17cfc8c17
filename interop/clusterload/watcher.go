// The watch of the load: every event of every key, in order, exactly once, whatever happens to members. Called by load.go; it must never skip
// a revision when it begins anew.
package main

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// watcher follows all keys of the load. A key's version grows by one with each put, so a lost or doubled event shows at once.
type watcher struct {
	load             *load
	etcd             *clientv3.Client
	versions         map[string]int64
	events, revision atomic.Int64
	context          context.Context
	stop             context.CancelFunc
	ended            chan struct{}
}

// begin gives the revision from which on everything must be seen.
func (w *watcher) begin() int64 {
	w.ended = make(chan struct{})
	w.context, w.stop = context.WithCancel(context.Background())
	for {
		ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
		response, err := w.etcd.Get(ctx, w.load.prefix, clientv3.WithPrefix())
		cancel()
		if err == nil {
			for _, kv := range response.Kvs {
				w.versions[string(kv.Key)] = kv.Version
			}
			return response.Header.Revision + 1
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *watcher) run(first int64) {
	defer close(w.ended)
	for w.context.Err() == nil {
		stream := w.etcd.Watch(clientv3.WithRequireLeader(w.context), w.load.prefix, clientv3.WithPrefix(), clientv3.WithRev(first))
		for response := range stream {
			if response.CompactRevision != 0 {
				w.load.fail("the watch was compacted at %d", response.CompactRevision)
				return
			}
			for _, event := range response.Events {
				w.see(event)
				first = event.Kv.ModRevision + 1
			}
		}
		// A member without a leader ends the stream: the next member goes on from the next revision.
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *watcher) see(event *clientv3.Event) {
	key, version := string(event.Kv.Key), event.Kv.Version
	if event.Type != clientv3.EventTypePut || version != w.versions[key]+1 {
		w.load.fail("event of %s: %v version %d after version %d", key, event.Type, version, w.versions[key])
	}
	w.versions[key] = version
	if last := w.revision.Load(); event.Kv.ModRevision <= last {
		w.load.fail("event of revision %d after revision %d", event.Kv.ModRevision, last)
	}
	w.revision.Store(event.Kv.ModRevision)
	w.events.Add(1)
}

// end waits until the newest revision was seen.
func (w *watcher) end(revision int64) {
	limit := time.Now().Add(callTimeout)
	for w.revision.Load() < revision {
		if time.Now().After(limit) {
			w.load.fail("the watch stands at revision %d, the store at %d", w.revision.Load(), revision)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.stop()
	<-w.ended
}
