// What one operation of a run does: which kinds there are, how often each comes, and what is remembered of it.
package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	rangeMethod       = "/etcdserverpb.KV/Range"
	rangeStreamMethod = "/etcdserverpb.KV/RangeStream"
	putMethod         = "/etcdserverpb.KV/Put"
	deleteMethod      = "/etcdserverpb.KV/DeleteRange"
	txnMethod         = "/etcdserverpb.KV/Txn"
	compactMethod     = "/etcdserverpb.KV/Compact"
	sentinelKey       = "~sentinel"
)

func (r *run) step() error {
	switch n := r.gen.rng.Intn(1000); {
	case n < 860:
		return r.kv(n)
	case n < 900:
		return r.broken()
	case n < 920:
		return r.watchCreate()
	case n < 932:
		return r.watchCancel()
	case n < 946:
		return r.leaseGrant()
	case n < 956:
		return r.leaseRevoke()
	case n < 966:
		return r.leaseKeepAlive()
	case n < 978:
		return r.leaseTimeToLive()
	case n < 982:
		return r.leaseList()
	case n < 985:
		return r.compaction()
	case n < 991:
		return r.hashKV()
	case n < 994:
		return r.alarm()
	}
	return r.oddCall()
}

func (r *run) kv(n int) error {
	switch {
	case n < 300:
		return r.put(r.gen.putRequest())
	case n < 580:
		return r.rangeCall(rangeMethod, r.gen.rangeRequest(), nil)
	case n < 620:
		return r.rangeCall(rangeStreamMethod, r.gen.rangeRequest(), nil)
	case n < 690:
		return r.deleteCall(r.gen.deleteRequest(), nil)
	}
	return r.txn(r.gen.txnRequest(0), nil)
}

func (r *run) put(request *pb.PutRequest) error {
	return r.putBytes(request, nil)
}

func (r *run) putBytes(request *pb.PutRequest, encoded []byte) error {
	_, err := r.exchange(putMethod, request, encoded, func() proto.Message { return &pb.PutResponse{} },
		func(m proto.Message) { header(m.(*pb.PutResponse).Header, r.strict) })
	return err
}

func (r *run) rangeCall(method string, request *pb.RangeRequest, encoded []byte) error {
	empty := func() proto.Message { return &pb.RangeResponse{} }
	normal := func(m proto.Message) { header(m.(*pb.RangeResponse).Header, r.strict) }
	if method == rangeStreamMethod {
		empty = func() proto.Message { return &pb.RangeStreamResponse{} }
		normal = func(m proto.Message) { header(m.(*pb.RangeStreamResponse).RangeResponse.GetHeader(), r.strict) }
	}
	_, err := r.exchange(method, request, encoded, empty, normal)
	return err
}

func (r *run) deleteCall(request *pb.DeleteRangeRequest, encoded []byte) error {
	_, err := r.exchange(deleteMethod, request, encoded, func() proto.Message { return &pb.DeleteRangeResponse{} },
		func(m proto.Message) { header(m.(*pb.DeleteRangeResponse).Header, r.strict) })
	return err
}

func (r *run) txn(request *pb.TxnRequest, encoded []byte) error {
	if killsEtcd(request) {
		r.skipped++
		return nil
	}
	_, err := r.exchange(txnMethod, request, encoded, func() proto.Message { return &pb.TxnResponse{} },
		func(m proto.Message) { normalTxn(m.(*pb.TxnResponse), r.strict) })
	return err
}

// killsEtcd tells a txn that ends the process of a real etcd 3.7.1 (index out of range in txn/put.go): it deletes a key and then puts
// it with ignore_value or ignore_lease. Its key checks look at the state before the txn. The test is wide: any delete and any such put.
func killsEtcd(request *pb.TxnRequest) bool {
	deletes, ignores := kinds(request)
	return deletes && ignores
}

func kinds(request *pb.TxnRequest) (deletes, ignores bool) {
	for _, op := range append(append([]*pb.RequestOp(nil), request.GetSuccess()...), request.GetFailure()...) {
		put := op.GetRequestPut()
		innerDeletes, innerIgnores := false, false
		if nested := op.GetRequestTxn(); nested != nil {
			innerDeletes, innerIgnores = kinds(nested)
		}
		deletes = deletes || op.GetRequestDeleteRange() != nil || innerDeletes
		ignores = ignores || put.GetIgnoreValue() || put.GetIgnoreLease() || innerIgnores
	}
	return deletes, ignores
}

// broken sends a mangled request. Where it still decodes, the decoded form says how to compare the reply.
func (r *run) broken() error {
	mangled := func(m proto.Message) []byte {
		encoded, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		return r.gen.mangle(encoded)
	}
	switch r.gen.rng.Intn(4) {
	case 0:
		encoded, request := mangled(r.gen.rangeRequest()), &pb.RangeRequest{}
		_ = proto.Unmarshal(encoded, request)
		return r.rangeCall(rangeMethod, request, encoded)
	case 1:
		encoded, request := mangled(r.gen.deleteRequest()), &pb.DeleteRangeRequest{}
		_ = proto.Unmarshal(encoded, request)
		return r.deleteCall(request, encoded)
	case 2:
		encoded, request := mangled(r.gen.txnRequest(0)), &pb.TxnRequest{}
		_ = proto.Unmarshal(encoded, request)
		return r.txn(request, encoded)
	}
	encoded, request := mangled(r.gen.putRequest()), &pb.PutRequest{}
	_ = proto.Unmarshal(encoded, request)
	return r.putBytes(request, encoded)
}

// sameRevision follows the reference's revision, which steers the generator, and ends the run when the two have parted: whatever came
// after would be noise.
func (r *run) sameRevision(a, b proto.Message) error {
	type headed interface{ GetHeader() *pb.ResponseHeader }
	x, okX := a.(headed)
	y, okY := b.(headed)
	if !okX || !okY {
		return nil
	}
	if left, right := x.GetHeader().GetRevision(), y.GetHeader().GetRevision(); left != right {
		return fmt.Errorf("the revisions have parted: reference %d, subject %d", left, right)
	}
	r.gen.revision = max(r.gen.revision, x.GetHeader().GetRevision())
	return nil
}

func (r *run) sentinels() error {
	for i := range watchStreams {
		request := &pb.WatchCreateRequest{Key: []byte(sentinelKey)}
		for _, s := range []*side{r.reference, r.subject} {
			if _, err := s.streams[i].create(request); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// barrier moves the revision on, waits until every watcher of both servers has caught up, and compares what they were told.
func (r *run) barrier() error {
	for range barrierAdvances {
		if err := r.put(&pb.PutRequest{Key: []byte(sentinelKey)}); err != nil {
			return err
		}
	}
	for i := range watchStreams {
		for _, s := range []*side{r.reference, r.subject} {
			if err := s.streams[i].settle(r.gen.revision); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		told, heard := r.reference.streams[i].drain(), r.subject.streams[i].drain()
		ids := map[int64]bool{}
		for id := range told {
			ids[id] = true
		}
		for id := range heard {
			ids[id] = true
		}
		for id := range ids {
			r.compared++
			at := r.firstDifference(told[id], heard[id])
			if at < 0 {
				continue
			}
			what := fmt.Sprintf("events of watcher %d on stream %d", id, i)
			context := fmt.Sprintf("first difference at event %d of %d and %d", at, len(told[id]), len(heard[id]))
			err := r.difference(what, context, from(told[id], at), from(heard[id], at))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func from(told []line, at int) string {
	lines := []string{}
	for _, one := range told[min(at, len(told)):] {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n    ")
}

func (r *run) watchCreate() error {
	i := r.gen.rng.Intn(watchStreams)
	request := r.gen.watchRequest(r.watchers[i])
	if len(r.watchers[i]) >= watchersMax {
		if err := r.barrier(); err != nil {
			return err
		}
		return r.cancelOne(i, r.gen.rng.Intn(len(r.watchers[i])))
	}
	a, err := r.reference.streams[i].create(proto.Clone(request).(*pb.WatchCreateRequest))
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	b, err := r.subject.streams[i].create(proto.Clone(request).(*pb.WatchCreateRequest))
	if err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	r.compared++
	header(a.Header, r.strict)
	header(b.Header, r.strict)
	if !proto.Equal(a, b) {
		if err := r.difference("watch create", render(request), render(a), render(b)); err != nil {
			return err
		}
	}
	if a.Canceled || b.Canceled {
		return nil
	}
	r.watchers[i] = append(r.watchers[i], a.WatchId)
	last := len(r.watchers[i]) - 1
	switch {
	case request.StartRevision > r.gen.revision+barrierAdvances:
		// It would keep the stream from ever saying that it is in step.
		return r.cancelOne(i, last)
	case request.StartRevision > 0 && request.StartRevision < r.gen.compact:
		// The server cancels it, but keeps it on its list until the client has cancelled too.
		if err := r.awaitCanceled(i, a.WatchId, 1); err != nil {
			return err
		}
		return r.cancelOne(i, last)
	}
	return nil
}

func (r *run) watchCancel() error {
	i := r.gen.rng.Intn(watchStreams)
	if len(r.watchers[i]) == 0 || r.gen.chance(10) {
		unknown := 1_000_000 + r.gen.rng.Int63n(10)
		if err := r.reference.streams[i].cancel(unknown); err != nil {
			return err
		}
		return r.subject.streams[i].cancel(unknown)
	}
	if err := r.barrier(); err != nil { // events on their way when a watcher is cancelled may or may not arrive
		return err
	}
	return r.cancelOne(i, r.gen.rng.Intn(len(r.watchers[i])))
}

func (r *run) cancelOne(stream, index int) error {
	id := r.watchers[stream][index]
	r.watchers[stream] = slices.Delete(r.watchers[stream], index, index+1)
	before := r.canceledCount(r.reference.streams[stream], id)
	for _, s := range []*side{r.reference, r.subject} {
		if err := s.streams[stream].cancel(id); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return r.awaitCanceled(stream, id, before+1)
}

func (r *run) canceledCount(w *watchStream, id int64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return countCanceled(w.told[id])
}

func countCanceled(told []line) int {
	count := 0
	for _, one := range told {
		if strings.HasPrefix(one.text, "canceled ") {
			count++
		}
	}
	return count
}

func (r *run) awaitCanceled(stream int, id int64, count int) error {
	for _, s := range []*side{r.reference, r.subject} {
		w := s.streams[stream]
		what := fmt.Sprintf("cancel answer %d of watcher %d", count, id)
		if err := w.waitUntil(what, func() bool { return countCanceled(w.told[id]) >= count }, nil); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (r *run) compaction() error {
	if err := r.barrier(); err != nil { // events not yet sent lose their previous values to a compaction
		return err
	}
	request := &pb.CompactionRequest{Revision: r.gen.anyRevision(), Physical: r.gen.chance(50)}
	answer, err := r.exchange(compactMethod, request, nil, func() proto.Message { return &pb.CompactionResponse{} },
		func(m proto.Message) { header(m.(*pb.CompactionResponse).Header, r.strict) })
	if answer != nil {
		r.gen.compact = request.Revision
	}
	return err
}

func (r *run) hashKV() error {
	request := &pb.HashKVRequest{Revision: r.gen.mostly(50, 0, r.gen.anyRevision())}
	_, err := r.exchange("/etcdserverpb.Maintenance/HashKV", request, nil, func() proto.Message { return &pb.HashKVResponse{} },
		func(m proto.Message) { header(m.(*pb.HashKVResponse).Header, r.strict) })
	return err
}

// finish compares the whole key space, the leases, the hash, and lets leases expire.
func (r *run) finish() error {
	if err := r.barrier(); err != nil {
		return err
	}
	if err := r.expiry(); err != nil {
		return err
	}
	everything := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	for _, final := range []func() error{
		func() error { return r.rangeCall(rangeMethod, everything, nil) },
		func() error { return r.rangeCall(rangeStreamMethod, everything, nil) },
		r.leaseList, r.hashKV, r.barrier,
	} {
		if err := final(); err != nil {
			return err
		}
	}
	return nil
}

// expiry grants short leases, one after the other so that the order of deletions is determined, and waits for each to end.
func (r *run) expiry() error {
	for i := range 3 {
		id := int64(7_000_001 + i)
		if _, err := r.grant(id, 1); err != nil {
			return err
		}
		for _, name := range []string{"expire/b", "expire/a", "expire/c"} {
			if err := r.put(&pb.PutRequest{Key: []byte(name), Lease: id}); err != nil {
				return err
			}
		}
		for _, s := range []*side{r.reference, r.subject} {
			if err := s.waitGone("expire/a"); err != nil {
				return err
			}
		}
		if err := r.barrier(); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) waitGone(key string) error {
	request, err := proto.Marshal(&pb.RangeRequest{Key: []byte(key)})
	if err != nil {
		return err
	}
	end := time.Now().Add(15 * time.Second)
	for time.Now().Before(end) {
		answer, err := merge(s.call(rangeMethod, request, false).messages, func() proto.Message { return &pb.RangeResponse{} })
		if err == nil && answer.(*pb.RangeResponse).Header != nil && answer.(*pb.RangeResponse).Count == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s: key %q still lives 15 s after its lease of 2 s", s.name, key)
}
