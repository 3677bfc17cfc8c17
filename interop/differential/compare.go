// Brings two replies into one form and says whether they are equal. Only what etcd itself leaves open is taken out: ids of the cluster,
// the order of a lease's keys, the seconds a lease has left.
package main

import (
	"bytes"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
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

func normalTxn(response *pb.TxnResponse, strict bool) {
	header(response.GetHeader(), strict)
	for _, op := range response.GetResponses() {
		switch inner := op.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			header(inner.ResponseRange.GetHeader(), strict)
		case *pb.ResponseOp_ResponsePut:
			header(inner.ResponsePut.GetHeader(), strict)
		case *pb.ResponseOp_ResponseDeleteRange:
			header(inner.ResponseDeleteRange.GetHeader(), strict)
		case *pb.ResponseOp_ResponseTxn:
			normalTxn(inner.ResponseTxn, strict)
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
