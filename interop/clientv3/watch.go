// Watches: history and future, filters, previous values, progress, fragments, compaction, many watchers.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func watchCases() []testCase {
	return []testCase{
		{"watch: history and future come in order, without gap or repetition", watchHistory},
		{"watch: filters and previous values", watchFilters},
		{"watch: a compacted start is told with its compact revision", watchCompacted},
		{"watch: progress on request", watchProgress},
		{"watch: a big event list is cut into fragments and put together again", watchFragments},
		{"watch: a thousand watchers of one client all see every event", watchMany},
		{"watch: created notification and cancellation", watchCancel},
	}
}

func (t *t) events(channel clientv3.WatchChan, count int) []*clientv3.Event {
	var events []*clientv3.Event
	for len(events) < count {
		select {
		case response, open := <-channel:
			t.check(open, "the watch was closed")
			t.must(response.Err())
			events = append(events, response.Events...)
		case <-t.Done():
			panic(failure(fmt.Sprintf("%d of %d events", len(events), count)))
		}
	}
	t.equal(len(events), count, "number of events")
	return events
}

func watchHistory(t *t) {
	first := t.put("k0", "")
	for i := 1; i < 50; i++ {
		t.put(fmt.Sprintf("k%d", i), "")
	}
	channel := t.client.Watch(t, t.prefix, clientv3.WithPrefix(), clientv3.WithRev(first))
	for i := 50; i < 100; i++ {
		t.put(fmt.Sprintf("k%d", i), "")
	}
	for i, event := range t.events(channel, 100) {
		t.equal(string(event.Kv.Key), fmt.Sprintf("%sk%d", t.prefix, i), "order")
		t.check(event.IsCreate(), "created")
	}
}

func watchFilters(t *t) {
	start := t.put("f", "1")
	t.put("f", "2")
	_, err := t.client.Delete(t, t.prefix+"f")
	t.must(err)
	deletes := t.events(t.client.Watch(t, t.prefix+"f", clientv3.WithRev(start), clientv3.WithFilterPut(), clientv3.WithPrevKV()), 1)
	t.equal([]any{deletes[0].Type, string(deletes[0].PrevKv.Value)}, []any{clientv3.EventTypeDelete, "2"}, "the delete")
	puts := t.events(t.client.Watch(t, t.prefix+"f", clientv3.WithRev(start), clientv3.WithFilterDelete(), clientv3.WithPrevKV()), 2)
	t.check(puts[0].PrevKv == nil, "a creation has no previous value")
	t.check(puts[1].IsModify(), "modified")
	t.equal(string(puts[1].PrevKv.Value), "1", "previous value")
}

func watchCompacted(t *t) {
	start := t.put("c", "1")
	compacted := t.put("c", "2")
	_, err := t.client.Compact(t, compacted)
	t.must(err)
	response := <-t.client.Watch(t, t.prefix+"c", clientv3.WithRev(start))
	t.check(errors.Is(response.Err(), rpctypes.ErrCompacted), fmt.Sprintf("want ErrCompacted, got %v", response.Err()))
	t.equal(response.CompactRevision, compacted, "compact revision")
}

func watchProgress(t *t) {
	channel := t.client.Watch(t, t.prefix, clientv3.WithPrefix(), clientv3.WithProgressNotify())
	revision := t.put("p", "1")
	t.events(channel, 1)
	t.must(t.client.RequestProgress(t))
	select {
	case response := <-channel:
		t.check(response.IsProgressNotify(), "a progress notification")
		t.check(response.Header.Revision >= revision, "progress is not behind the event")
	case <-t.Done():
		panic(failure("no progress notification"))
	}
}

func watchFragments(t *t) {
	value := strings.Repeat("x", 300_000)
	var ops []clientv3.Op
	start := t.put("start", "")
	for i := range 4 {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("%sf%d", t.prefix, i), value))
	}
	for range 3 {
		_, err := t.client.Txn(t).Then(ops...).Commit()
		t.must(err)
	}
	events := t.events(t.client.Watch(t, t.prefix+"f", clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithFragment()), 12)
	for _, event := range events {
		t.equal(len(event.Kv.Value), len(value), "value")
	}
}

func watchMany(t *t) {
	var channels []clientv3.WatchChan
	for range 1000 {
		channels = append(channels, t.client.Watch(t, t.prefix+"m", clientv3.WithCreatedNotify()))
	}
	for _, channel := range channels {
		t.check((<-channel).Created, "created")
	}
	for i := range 5 {
		t.put("m", fmt.Sprint(i))
	}
	for _, channel := range channels {
		for i, event := range t.events(channel, 5) {
			t.equal(string(event.Kv.Value), i, "order")
		}
	}
}

func watchCancel(t *t) {
	ctx, cancel := context.WithCancel(t)
	channel := t.client.Watch(ctx, t.prefix+"x", clientv3.WithCreatedNotify())
	t.check((<-channel).Created, "created")
	cancel()
	select {
	case _, open := <-channel:
		t.check(!open, "closed after cancellation")
	case <-time.After(5 * time.Second):
		panic(failure("the channel stays open after its context ended"))
	}
	other := t.client.Watch(t, t.prefix+"y")
	t.put("y", "1")
	t.events(other, 1)
}
