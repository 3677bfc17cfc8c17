// Brings two replies into one form and says whether they are equal. Only what etcd itself leaves open is taken out: ids of the cluster,
// the order of equal sort keys, the order of a lease's keys, the seconds a lease has left.
package main

import (
	"bytes"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

var textFormat = prototext.MarshalOptions{Multiline: false}

func render(message proto.Message) string {
	if message == nil {
		return "<none>"
	}
	text := textFormat.Format(message)
	// prototext puts in random spaces so that nobody compares its output byte by byte.
	return string(bytes.ReplaceAll([]byte(text), []byte("  "), []byte(" ")))
}

func shorten(text string) string {
	if len(text) > 3000 {
		return fmt.Sprintf("%s … (%d bytes)", text[:3000], len(text))
	}
	return text
}

// header hides what two clusters may differ in. What must be absent stays absent.
func header(h *pb.ResponseHeader, strict bool) {
	if h == nil || strict {
		return
	}
	hide := func(id *uint64) {
		if *id != 0 {
			*id = 1
		}
	}
	hide(&h.ClusterId)
	hide(&h.MemberId)
	hide(&h.RaftTerm)
}

func normalRange(request *pb.RangeRequest, response *pb.RangeResponse, strict bool) {
	header(response.GetHeader(), strict)
	if request == nil || request.SortTarget == pb.RangeRequest_KEY {
		return
	}
	// Equal sort keys may come in any order, and a limit may cut through them: then only the sort keys themselves count.
	kvs := response.Kvs
	if request.Limit > 0 && int64(len(kvs)) >= request.Limit {
		for _, kv := range kvs {
			target := sortKey(request.SortTarget, kv)
			kv.Reset()
			kv.Value = []byte(target)
		}
		return
	}
	sort.SliceStable(kvs, func(i, j int) bool {
		a, b := sortKey(request.SortTarget, kvs[i]), sortKey(request.SortTarget, kvs[j])
		return a == b && bytes.Compare(kvs[i].Key, kvs[j].Key) < 0
	})
}

func sortKey(target pb.RangeRequest_SortTarget, kv *mvccpb.KeyValue) string {
	switch target {
	case pb.RangeRequest_VERSION:
		return fmt.Sprint(kv.Version)
	case pb.RangeRequest_CREATE:
		return fmt.Sprint(kv.CreateRevision)
	case pb.RangeRequest_MOD:
		return fmt.Sprint(kv.ModRevision)
	case pb.RangeRequest_VALUE:
		return string(kv.Value)
	}
	return string(kv.Key)
}

func normalTxn(request *pb.TxnRequest, response *pb.TxnResponse, strict bool) {
	header(response.GetHeader(), strict)
	branch := request.GetSuccess()
	if !response.GetSucceeded() {
		branch = request.GetFailure()
	}
	for i, op := range response.GetResponses() {
		var asked *pb.RequestOp
		if i < len(branch) {
			asked = branch[i]
		}
		switch inner := op.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			normalRange(asked.GetRequestRange(), inner.ResponseRange, strict)
		case *pb.ResponseOp_ResponsePut:
			header(inner.ResponsePut.GetHeader(), strict)
		case *pb.ResponseOp_ResponseDeleteRange:
			header(inner.ResponseDeleteRange.GetHeader(), strict)
		case *pb.ResponseOp_ResponseTxn:
			normalTxn(asked.GetRequestTxn(), inner.ResponseTxn, strict)
		}
	}
}

// normalLease sorts what etcd keeps in a map and lets the remaining time differ by what the calls themselves took.
func normalLease(message proto.Message) {
	switch m := message.(type) {
	case *pb.LeaseTimeToLiveResponse:
		sort.Slice(m.Keys, func(i, j int) bool { return bytes.Compare(m.Keys[i], m.Keys[j]) < 0 })
	case *pb.LeaseLeasesResponse:
		sort.Slice(m.Leases, func(i, j int) bool { return m.Leases[i].ID < m.Leases[j].ID })
	}
}

func nearlyEqualTTL(a, b proto.Message) {
	x, okX := a.(*pb.LeaseTimeToLiveResponse)
	y, okY := b.(*pb.LeaseTimeToLiveResponse)
	if !okX || !okY {
		return
	}
	if difference := x.TTL - y.TTL; difference >= -2 && difference <= 2 {
		y.TTL = x.TTL
	}
}
