// The operations beside the key-value ones: leases, alarms, and calls that must fail in etcd's own words.
package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	leaseMethods       = "/etcdserverpb.Lease/"
	clusterMethods     = "/etcdserverpb.Cluster/"
	maintenanceMethods = "/etcdserverpb.Maintenance/"
	longLease          = 100_000
)

func (r *run) grant(id, ttl int64) (proto.Message, error) {
	request := &pb.LeaseGrantRequest{ID: id, TTL: ttl}
	return r.exchange(leaseMethods+"LeaseGrant", request, nil, func() proto.Message { return &pb.LeaseGrantResponse{} },
		func(m proto.Message) { header(m.(*pb.LeaseGrantResponse).Header, r.strict) })
}

// leaseGrant keeps leases that last; one with a short or impossible time to live goes at once, before it can expire at a moment of its own.
func (r *run) leaseGrant() error {
	id := 1 + r.gen.rng.Int63n(60)
	switch r.gen.rng.Intn(10) {
	case 0:
		id = -1 - r.gen.rng.Int63n(5)
	case 1:
		id = r.gen.anyRevision()
	}
	if id == 0 {
		id = 99 // the server would choose one at random
	}
	ttl := longLease + r.gen.rng.Int63n(longLease)
	if r.gen.chance(20) {
		ttl = []int64{0, 1, -5, 60, 9_000_000_000, 9_000_000_001, 1 << 62, -1 << 62}[r.gen.rng.Intn(8)]
	}
	answer, err := r.grant(id, ttl)
	if err != nil || answer == nil {
		return err
	}
	if ttl < longLease {
		return r.revoke(id)
	}
	r.gen.leases = append(r.gen.leases, id)
	return nil
}

func (r *run) revoke(id int64) error {
	if at := slices.Index(r.gen.leases, id); at >= 0 {
		r.gen.leases = slices.Delete(r.gen.leases, at, at+1)
	}
	_, err := r.exchange(leaseMethods+"LeaseRevoke", &pb.LeaseRevokeRequest{ID: id}, nil,
		func() proto.Message { return &pb.LeaseRevokeResponse{} },
		func(m proto.Message) { header(m.(*pb.LeaseRevokeResponse).Header, r.strict) })
	return err
}

func (r *run) leaseRevoke() error {
	return r.revoke(r.gen.lease())
}

func (r *run) leaseKeepAlive() error {
	id := r.gen.lease()
	a, errA := r.reference.leases.ask(id)
	b, errB := r.subject.leases.ask(id)
	if errA != nil || errB != nil {
		return fmt.Errorf("keepalive of %d: reference %v, subject %v", id, errA, errB)
	}
	r.compared++
	header(a.Header, r.strict)
	header(b.Header, r.strict)
	if proto.Equal(a, b) {
		return nil
	}
	return r.difference("lease keepalive", fmt.Sprint(id), render(a), render(b))
}

func (r *run) leaseTimeToLive() error {
	request := &pb.LeaseTimeToLiveRequest{ID: r.gen.lease(), Keys: r.gen.chance(60)}
	_, err := r.exchange(leaseMethods+"LeaseTimeToLive", request, nil, func() proto.Message { return &pb.LeaseTimeToLiveResponse{} },
		func(m proto.Message) {
			header(m.(*pb.LeaseTimeToLiveResponse).Header, r.strict)
			normalLease(m)
		})
	return err
}

func (r *run) leaseList() error {
	_, err := r.exchange(leaseMethods+"LeaseLeases", &pb.LeaseLeasesRequest{}, nil, func() proto.Message { return &pb.LeaseLeasesResponse{} },
		func(m proto.Message) {
			header(m.(*pb.LeaseLeasesResponse).Header, r.strict)
			normalLease(m)
		})
	return err
}

func (r *run) alarmCall(action pb.AlarmRequest_AlarmAction, alarm pb.AlarmType, member uint64) error {
	request := &pb.AlarmRequest{Action: action, Alarm: alarm, MemberID: member}
	_, err := r.exchange(maintenanceMethods+"Alarm", request, nil, func() proto.Message { return &pb.AlarmResponse{} },
		func(m proto.Message) { header(m.(*pb.AlarmResponse).Header, r.strict) })
	return err
}

// alarm raises one, tries what an alarm forbids and allows, and takes it back.
func (r *run) alarm() error {
	if r.gen.chance(50) {
		return r.alarmCall(pb.AlarmRequest_GET, pb.AlarmType(r.gen.rng.Intn(3)), uint64(r.gen.rng.Intn(2)))
	}
	kind := pb.AlarmType(1 + r.gen.rng.Intn(2))
	member := uint64(7 + r.gen.rng.Intn(2))
	if err := r.alarmCall(pb.AlarmRequest_ACTIVATE, kind, member); err != nil {
		return err
	}
	for range 6 {
		if err := r.kv(r.gen.rng.Intn(860)); err != nil {
			return err
		}
	}
	if _, err := r.grant(77_000, longLease); err != nil {
		return err
	}
	if err := r.alarmCall(pb.AlarmRequest_GET, pb.AlarmType_NONE, 0); err != nil {
		return err
	}
	if err := r.alarmCall(pb.AlarmRequest_DEACTIVATE, kind, member); err != nil {
		return err
	}
	return r.revoke(77_000)
}

// oddCall asks for what cannot be: unknown methods, unknown members, bad URLs; and for the parts of Status that are not sizes.
func (r *run) oddCall() error {
	unknown := 1 + uint64(r.gen.rng.Intn(9))
	switch r.gen.rng.Intn(9) {
	case 0:
		return r.odd("/etcdserverpb.KV/Nothing", nil, &pb.RangeResponse{})
	case 1:
		return r.odd("/etcdserverpb.Nothing/Range", nil, &pb.RangeResponse{})
	case 2:
		return r.odd(clusterMethods+"MemberRemove", &pb.MemberRemoveRequest{ID: unknown}, &pb.MemberRemoveResponse{})
	case 3:
		return r.odd(clusterMethods+"MemberPromote", &pb.MemberPromoteRequest{ID: unknown}, &pb.MemberPromoteResponse{})
	case 4:
		urls := [][]string{nil, {""}, {"127.0.0.1:1"}, {"ftp://127.0.0.1:1"}, {"http://127.0.0.1"}}[r.gen.rng.Intn(5)]
		return r.odd(clusterMethods+"MemberUpdate", &pb.MemberUpdateRequest{ID: unknown, PeerURLs: urls}, &pb.MemberUpdateResponse{})
	case 5:
		return r.odd(maintenanceMethods+"MoveLeader", &pb.MoveLeaderRequest{TargetID: unknown}, &pb.MoveLeaderResponse{})
	case 6:
		action := pb.DowngradeRequest_DowngradeAction(r.gen.rng.Intn(4))
		version := []string{"", "3", "3.5", "3.7.0", "4.0.0", "x", "3.8"}[r.gen.rng.Intn(7)]
		if action == pb.DowngradeRequest_ENABLE && version == "3.6" {
			return nil
		}
		return r.odd(maintenanceMethods+"Downgrade", &pb.DowngradeRequest{Action: action, Version: version}, &pb.DowngradeResponse{})
	case 7:
		return r.odd("/etcdserverpb.Auth/AuthStatus", &pb.AuthStatusRequest{}, &pb.AuthStatusResponse{})
	}
	return r.odd(maintenanceMethods+"Status", &pb.StatusRequest{}, &pb.StatusResponse{})
}

func (r *run) odd(method string, request, response proto.Message) error {
	encoded := []byte{}
	if request != nil {
		encoded = nil
	}
	_, err := r.exchange(method, request, encoded, func() proto.Message { return response.ProtoReflect().New().Interface() },
		func(m proto.Message) {
			type headed interface{ GetHeader() *pb.ResponseHeader }
			if h, ok := m.(headed); ok {
				header(h.GetHeader(), r.strict)
			}
			if s, ok := m.(*pb.StatusResponse); ok {
				s.DbSize, s.DbSizeInUse, s.RaftIndex, s.RaftAppliedIndex = 0, 0, 0, 0
				if !r.strict {
					s.Leader, s.RaftTerm = 0, 0
				}
			}
		})
	return err
}
