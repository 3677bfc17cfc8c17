// Maintenance and cluster calls as operators' programs make them.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func adminCases() []testCase {
	return []testCase{
		{"admin: status names version, leader and sizes", status},
		{"admin: HashKV of one revision does not change when later ones come", hashKV},
		{"admin: a snapshot ends with its own sha256", snapshot},
		{"admin: members are listed and endpoints synced", members},
		{"admin: defragment and alarm list answer", upkeep},
	}
}

func status(t *t) {
	t.put("s", "1")
	s, err := t.client.Status(t, t.client.Endpoints()[0])
	t.must(err)
	t.check(strings.HasPrefix(s.Version, "3."), "version "+s.Version)
	t.check(s.DbSize > 0 && s.DbSizeInUse > 0 && s.DbSizeInUse <= s.DbSize, fmt.Sprintf("sizes %d and %d", s.DbSize, s.DbSizeInUse))
	t.equal(s.Leader, s.Header.MemberId, "leader of one member")
	t.check(s.RaftIndex > 0 && s.RaftAppliedIndex > 0 && s.RaftTerm > 0, "raft figures")
}

func hashKV(t *t) {
	endpoint := t.client.Endpoints()[0]
	revision := t.put("h", "1")
	before, err := t.client.HashKV(t, endpoint, revision)
	t.must(err)
	t.put("h", "2")
	after, err := t.client.HashKV(t, endpoint, revision)
	t.must(err)
	t.equal(after.Hash, before.Hash, "hash of a fixed revision")
	now, err := t.client.HashKV(t, endpoint, 0)
	t.must(err)
	t.check(now.Hash != before.Hash, "the hash of the newer revision differs")
}

func snapshot(t *t) {
	t.put("s", strings.Repeat("x", 100_000))
	response, err := t.client.SnapshotWithVersion(t)
	t.must(err)
	data, err := io.ReadAll(response.Snapshot)
	t.must(err)
	t.must(response.Snapshot.Close())
	t.check(strings.HasPrefix(response.Version, "3."), "version "+response.Version)
	t.equal(len(data)%512, sha256.Size, "length beyond whole sectors")
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	computed := sha256.Sum256(body)
	t.equal(computed[:], sum, "sha256")
}

func members(t *t) {
	list, err := t.client.MemberList(t)
	t.must(err)
	t.equal(len(list.Members), 1, "members")
	t.equal(list.Members[0].Name, "default", "name")
	local, err := t.client.MemberList(t, clientv3.WithSerializable())
	t.must(err)
	t.equal(local.Members[0].ID, list.Members[0].ID, "serializable list")
	t.must(t.client.Sync(t))
	t.equal(t.client.Endpoints(), list.Members[0].ClientURLs, "synced endpoints")
	t.put("after", "sync")
}

func upkeep(t *t) {
	_, err := t.client.Defragment(t, t.client.Endpoints()[0])
	t.must(err)
	alarms, err := t.client.AlarmList(t)
	t.must(err)
	t.equal(len(alarms.Alarms), 0, "alarms")
	_, err = t.client.AlarmDisarm(t, &clientv3.AlarmMember{})
	t.must(err)
}
