// Watch streams held open on both servers. What each watcher was told is kept per watcher, because the order between watchers is
// free, and compared at barriers: points where both servers have said, by a progress answer, that everything was delivered.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

const (
	watchStreams    = 3
	watchersMax     = 12
	barrierTimeout  = 30 * time.Second
	progressRetry   = 15 * time.Millisecond
	barrierAdvances = 4
)

// line is one thing that a watcher was told. The previous value stands apart, because etcd 3.7.1 may lose it: a watcher that starts in
// the past can be served by the catch-up loop before its prev_kv option is noted (v3rpc/watch.go sets it after Watch returns).
type line struct {
	text   string
	prevKv string
}

func (l line) String() string { return l.text + l.prevKv }

type watchStream struct {
	client  pb.Watch_WatchClient
	mu      sync.Mutex
	wake    *sync.Cond
	created []*pb.WatchResponse
	told    map[int64][]line
	prevKv  map[int64]bool
	// What the creation under way asks for: events may come right behind its answer.
	wantsPrevKv bool
	settled     int64
	ended       error
}

func (s *side) openWatches() error {
	for range watchStreams {
		client, err := pb.NewWatchClient(s.conn).Watch(context.Background())
		if err != nil {
			return err
		}
		w := &watchStream{client: client, told: map[int64][]line{}, prevKv: map[int64]bool{}}
		w.wake = sync.NewCond(&w.mu)
		s.streams = append(s.streams, w)
		go w.receive()
	}
	return nil
}

func (w *watchStream) receive() {
	for {
		response, err := w.client.Recv()
		w.mu.Lock()
		if err != nil {
			w.ended = err
			w.wake.Broadcast()
			w.mu.Unlock()
			return
		}
		w.take(response)
		w.wake.Broadcast()
		w.mu.Unlock()
	}
}

func (w *watchStream) take(r *pb.WatchResponse) {
	switch {
	case r.Created:
		w.created = append(w.created, r)
		if !r.Canceled {
			w.prevKv[r.WatchId] = w.wantsPrevKv
		}
	case r.Canceled:
		w.told[r.WatchId] = append(w.told[r.WatchId],
			line{text: fmt.Sprintf("canceled compact_revision=%d reason=%q", r.CompactRevision, r.CancelReason)})
	case len(r.Events) > 0:
		for _, event := range r.Events {
			w.told[r.WatchId] = append(w.told[r.WatchId], w.describe(r.WatchId, event, r.GetHeader().GetRevision()))
		}
	case r.WatchId == -1:
		w.settled = max(w.settled, r.GetHeader().GetRevision())
	}
}

// describe leaves out previous values that nobody asked for: etcd 3.7.1 shares event objects between watchers, so a watcher without
// prev_kv sees or does not see them by chance.
func (w *watchStream) describe(id int64, event *mvccpb.Event, revision int64) line {
	bare := proto.Clone(event).(*mvccpb.Event)
	bare.PrevKv = nil
	told := line{text: render(bare)}
	if revision < event.Kv.ModRevision {
		told.text += " (header.revision is older than the event)"
	}
	if w.prevKv[id] && event.PrevKv != nil {
		told.prevKv = " prev_kv:{" + render(event.PrevKv) + "}"
	}
	return told
}

// firstDifference gives the place where what two watchers were told parts, or -1. A previous value that only the reference lacks is
// counted instead.
func (r *run) firstDifference(reference, subject []line) int {
	for i := range max(len(reference), len(subject)) {
		if i >= len(reference) || i >= len(subject) || reference[i].text != subject[i].text {
			return i
		}
		if reference[i].prevKv == subject[i].prevKv {
			continue
		}
		if reference[i].prevKv != "" {
			return i
		}
		r.lost++
	}
	return -1
}

func (w *watchStream) waitUntil(what string, done func() bool, poke func()) error {
	end := time.Now().Add(barrierTimeout)
	for {
		w.mu.Lock()
		ok, ended := done(), w.ended
		w.mu.Unlock()
		if ok {
			return nil
		}
		if ended != nil {
			return fmt.Errorf("watch stream ended while waiting for %s: %w", what, ended)
		}
		if time.Now().After(end) {
			return fmt.Errorf("no %s within %s", what, barrierTimeout)
		}
		if poke != nil {
			poke()
		}
		w.waitBriefly()
	}
}

// waitBriefly sleeps until something arrives, at most for the retry interval. The timer needs the lock, which Wait gives back: it cannot
// ring before somebody listens.
func (w *watchStream) waitBriefly() {
	w.mu.Lock()
	timer := time.AfterFunc(progressRetry, func() {
		w.mu.Lock()
		w.wake.Broadcast()
		w.mu.Unlock()
	})
	w.wake.Wait()
	w.mu.Unlock()
	timer.Stop()
}

func (w *watchStream) create(request *pb.WatchCreateRequest) (*pb.WatchResponse, error) {
	w.mu.Lock()
	before := len(w.created)
	w.wantsPrevKv = request.PrevKv
	w.mu.Unlock()
	err := w.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
	if err != nil {
		return nil, err
	}
	if err := w.waitUntil("answer to a watch creation", func() bool { return len(w.created) > before }, nil); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.created[before], nil
}

func (w *watchStream) cancel(id int64) error {
	return w.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

// settle asks for progress until the server says that everything up to the revision has been delivered on this stream.
func (w *watchStream) settle(revision int64) error {
	ask := func() {
		_ = w.client.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
	}
	return w.waitUntil(fmt.Sprintf("progress answer at revision %d", revision), func() bool { return w.settled >= revision }, ask)
}

func (w *watchStream) drain() map[int64][]line {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = map[int64][]line{}
	return told
}
