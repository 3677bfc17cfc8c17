// Random requests, valid and invalid, from one seed. Keys come from a small pool, so that requests meet each other; numbers lean to
// the edges. It must draw from `rng` alone, and never from a reply that may differ from run to run.
package main

import (
	"math"
	"math/rand"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

type generator struct {
	rng      *rand.Rand
	revision int64
	compact  int64
	leases   []int64
}

var pool = []string{
	"a", "a/", "a/1", "a/2", "a/3", "a/b/c", "ab", "b", "b\x00", "b\x00\x00", "b\xff", "b\xff\xff", "c/1", "c/2", "c/3", "c/4",
	"\x00", "\x01", "\xff", "\xff\xff", "\xc3\x28", "é", "zz", "registry/pods/ns/one", "registry/pods/ns/two", "registry/pods/other/one",
	"registry/leases/n1", "registry/leases/n2", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8",
}

func (g *generator) chance(percent int) bool { return g.rng.Intn(100) < percent }

func (g *generator) key() []byte {
	switch n := g.rng.Intn(1000); {
	case n < 5:
		return nil
	case n < 8:
		long := make([]byte, 1+g.rng.Intn(5000))
		g.rng.Read(long)
		return long
	case n < 30:
		short := make([]byte, 1+g.rng.Intn(4))
		g.rng.Read(short)
		return short
	}
	return []byte(pool[g.rng.Intn(len(pool))])
}

func (g *generator) value() []byte {
	switch n := g.rng.Intn(2000); {
	case n < 100:
		return nil
	case n < 102:
		return make([]byte, 1+g.rng.Intn(100_000))
	case n < 103:
		return make([]byte, 1_572_700+g.rng.Intn(300)) // about the limit of a request
	case n < 104:
		return make([]byte, 2_096_900+g.rng.Intn(400)) // about the limit of a message
	}
	value := make([]byte, g.rng.Intn(40))
	g.rng.Read(value)
	return value
}

func (g *generator) rangeEnd(key []byte) []byte {
	switch g.rng.Intn(8) {
	case 0, 1, 2:
		return nil
	case 3:
		return []byte{0}
	case 4, 5:
		return prefixEnd(key)
	case 6:
		return g.key()
	}
	return []byte("zzzz")
}

func prefixEnd(key []byte) []byte {
	end := append([]byte(nil), key...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0}
}

// anyRevision leans to the edges: compacted, current, future, and what no revision can be.
func (g *generator) anyRevision() int64 {
	switch g.rng.Intn(16) {
	case 0:
		return g.revision
	case 1:
		return g.revision + 1
	case 2:
		return g.compact
	case 3:
		return g.compact - 1
	case 4:
		return g.compact + 1
	case 5:
		return -1 - g.rng.Int63n(3)
	case 6:
		return math.MaxInt64 - g.rng.Int63n(2)
	case 7:
		return math.MinInt64
	case 8:
		return 1 << 53
	}
	return g.liveRevision()
}

func (g *generator) liveRevision() int64 {
	if span := g.revision - g.compact; span > 0 {
		return g.compact + g.rng.Int63n(span) + 1
	}
	return g.revision
}

func (g *generator) mostly(percent int, common, rare int64) int64 {
	if g.chance(percent) {
		return common
	}
	return rare
}

func (g *generator) lease() int64 {
	switch n := g.rng.Intn(100); {
	case n < 80:
		return 0
	case n < 95 && len(g.leases) > 0:
		return g.leases[g.rng.Intn(len(g.leases))]
	}
	return g.anyRevision()
}

func (g *generator) rangeRequest() *pb.RangeRequest {
	key := g.key()
	r := &pb.RangeRequest{Key: key, RangeEnd: g.rangeEnd(key)}
	r.Serializable = g.chance(30)
	r.KeysOnly = g.chance(10)
	r.CountOnly = g.chance(8)
	if g.chance(25) {
		r.Revision = g.anyRevision()
	}
	if g.chance(30) {
		r.Limit = g.mostly(90, int64(g.rng.Intn(12)), g.anyRevision())
	}
	if g.chance(25) {
		r.SortOrder = pb.RangeRequest_SortOrder(g.rng.Intn(3))
		r.SortTarget = pb.RangeRequest_SortTarget(g.rng.Intn(5))
	}
	if g.chance(3) {
		r.SortOrder = pb.RangeRequest_SortOrder(g.mostly(50, 3, math.MinInt32+g.rng.Int63n(9)))
	}
	if g.chance(3) {
		r.SortTarget = pb.RangeRequest_SortTarget(g.mostly(50, 5, -1))
	}
	if g.chance(12) {
		bounds := []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision}
		*bounds[g.rng.Intn(4)] = g.anyRevision()
		*bounds[g.rng.Intn(4)] = g.liveRevision()
	}
	return r
}

func (g *generator) putRequest() *pb.PutRequest {
	p := &pb.PutRequest{Key: g.key(), Value: g.value(), Lease: g.lease(), PrevKv: g.chance(20)}
	if g.chance(8) {
		p.IgnoreValue = true
		if g.chance(80) {
			p.Value = nil
		}
	}
	if g.chance(8) {
		p.IgnoreLease = true
		if g.chance(80) {
			p.Lease = 0
		}
	}
	return p
}

func (g *generator) deleteRequest() *pb.DeleteRangeRequest {
	key := g.key()
	d := &pb.DeleteRangeRequest{Key: key, PrevKv: g.chance(30)}
	if g.chance(25) {
		d.RangeEnd = g.rangeEnd(key)
	}
	return d
}

func (g *generator) compare() *pb.Compare {
	key := g.key()
	c := &pb.Compare{Key: key, Result: pb.Compare_CompareResult(g.rng.Intn(4)), Target: pb.Compare_CompareTarget(g.rng.Intn(5))}
	if g.chance(20) {
		c.RangeEnd = g.rangeEnd(key)
	}
	if g.chance(2) {
		c.Result = pb.Compare_CompareResult(g.rng.Intn(9) - 4)
	}
	if g.chance(2) {
		c.Target = pb.Compare_CompareTarget(g.rng.Intn(12) - 4)
	}
	union := int(c.Target)
	if g.chance(5) {
		union = g.rng.Intn(6)
	}
	switch union {
	case 0:
		c.TargetUnion = &pb.Compare_Version{Version: g.mostly(80, g.rng.Int63n(4), g.anyRevision())}
	case 1:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: g.mostly(50, 0, g.anyRevision())}
	case 2:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: g.mostly(50, 0, g.anyRevision())}
	case 3:
		c.TargetUnion = &pb.Compare_Value{Value: g.smallValue()}
	case 4:
		c.TargetUnion = &pb.Compare_Lease{Lease: g.lease()}
	}
	return c
}

func (g *generator) smallValue() []byte {
	value := make([]byte, g.rng.Intn(3))
	g.rng.Read(value)
	return value
}

func (g *generator) requestOp(depth int) *pb.RequestOp {
	switch n := g.rng.Intn(100); {
	case n < 30:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}}
	case n < 70:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: g.putRequest()}}
	case n < 85:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteRequest()}}
	case n < 99 && depth < 3:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.txnRequest(depth + 1)}}
	}
	if g.chance(90) {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}}
	}
	return &pb.RequestOp{}
}

func (g *generator) ops(depth int) []*pb.RequestOp {
	count := g.rng.Intn(4)
	if depth == 0 && g.chance(1) {
		count = 120 + g.rng.Intn(12) // about the limit of operations
	}
	ops := make([]*pb.RequestOp, 0, count)
	for len(ops) < count {
		ops = append(ops, g.requestOp(depth))
	}
	return ops
}

func (g *generator) txnRequest(depth int) *pb.TxnRequest {
	t := &pb.TxnRequest{Success: g.ops(depth), Failure: g.ops(depth)}
	for range g.rng.Intn(3) {
		t.Compare = append(t.Compare, g.compare())
	}
	return t
}

func (g *generator) watchRequest(used []int64) *pb.WatchCreateRequest {
	key := g.key()
	w := &pb.WatchCreateRequest{Key: key, RangeEnd: g.rangeEnd(key), PrevKv: g.chance(40), Fragment: g.chance(20)}
	if g.chance(50) {
		w.StartRevision = g.mostly(80, g.liveRevision(), g.anyRevision())
	}
	if g.chance(20) {
		w.Filters = append(w.Filters, pb.WatchCreateRequest_FilterType(g.rng.Intn(2)))
	}
	if g.chance(3) {
		w.Filters = append(w.Filters, pb.WatchCreateRequest_FilterType(g.rng.Intn(6)))
	}
	if g.chance(15) {
		w.WatchId = g.rng.Int63n(200)
		if len(used) > 0 && g.chance(30) {
			w.WatchId = used[g.rng.Intn(len(used))]
		}
	}
	if g.chance(1) {
		w.WatchId = -g.rng.Int63n(5)
	}
	return w
}

// mangle breaks an encoded request: flips, cuts, repeats or adds bytes.
func (g *generator) mangle(request []byte) []byte {
	broken := append([]byte(nil), request...)
	for range 1 + g.rng.Intn(3) {
		at := g.rng.Intn(len(broken) + 1)
		switch g.rng.Intn(5) {
		case 0:
			if at < len(broken) {
				broken[at] ^= 1 << g.rng.Intn(8)
			}
		case 1:
			broken = broken[:at]
		case 2:
			broken = append(broken, broken[at:]...)
		case 3:
			extra := make([]byte, 1+g.rng.Intn(6))
			g.rng.Read(extra)
			broken = append(broken[:at:at], append(extra, broken[at:]...)...)
		case 4:
			broken = append(broken, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)
		}
	}
	return broken
}
