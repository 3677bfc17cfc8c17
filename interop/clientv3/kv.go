// Gets, puts, deletes, txns, compaction and their errors, as clientv3 users write them.
package main

import (
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func kvCases() []testCase {
	return []testCase{
		{"kv: what was put is got, with its revisions and version", putAndGet},
		{"kv: prefix, from-key, limit, sort, keys-only, count-only and revision select", selections},
		{"kv: a get stream brings the same as a get", getStream},
		{"kv: deletes return what they deleted", deletes},
		{"kv: a txn takes one branch, atomically", txn},
		{"kv: a nested txn sees its own compares", nestedTxn},
		{"kv: a compacted revision is refused with ErrCompacted, a future one with ErrFutureRev", compaction},
		{"kv: wrong requests get the typed errors", typedErrors},
	}
}

func putAndGet(t *t) {
	first := t.put("a", "1")
	second := t.put("a", "2")
	t.equal(second, first+1, "revision of the second put")
	kv := t.get("a").Kvs[0]
	t.equal([]any{string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version}, []any{"2", first, second, 2}, "key-value")
	before, err := t.client.Put(t, t.prefix+"a", "3", clientv3.WithPrevKV())
	t.must(err)
	t.equal(string(before.PrevKv.Value), "2", "previous value")
	t.equal(len(t.get("none").Kvs), 0, "keys of an absent key")
}

func selections(t *t) {
	var revision int64
	for i := range 20 {
		revision = t.put(fmt.Sprintf("k%02d", i), fmt.Sprint(20-i))
	}
	t.equal(t.get("k", clientv3.WithPrefix()).Count, 20, "count of the prefix")
	page := t.get("k", clientv3.WithPrefix(), clientv3.WithLimit(5))
	t.equal([]any{len(page.Kvs), page.More, page.Count}, []any{5, true, 20}, "a page")
	t.equal(string(t.get("k", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)).Kvs[0].Key), t.prefix+"k19", "last key")
	t.equal(string(t.get("k", clientv3.WithFirstRev()...).Kvs[0].Key), t.prefix+"k00", "first revision")
	t.equal(string(t.get("k", clientv3.WithLastKey()...).Kvs[0].Key), t.prefix+"k19", "last key by option")
	keysOnly := t.get("k", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	t.equal([]any{len(keysOnly.Kvs), len(keysOnly.Kvs[0].Value)}, []any{20, 0}, "keys only")
	counted := t.get("k", clientv3.WithPrefix(), clientv3.WithCountOnly())
	t.equal([]any{len(counted.Kvs), counted.Count}, []any{0, 20}, "count only")
	t.put("k00", "later")
	t.equal(string(t.get("k00", clientv3.WithRev(revision), clientv3.WithSerializable()).Kvs[0].Value), "20", "old value")
	t.equal(t.get("k", clientv3.WithPrefix(), clientv3.WithMinModRev(revision+1)).Kvs[0].Version, 2, "filtered by revision")
	t.equal(len(t.get("k15", clientv3.WithRange(t.prefix+"k18")).Kvs), 3, "a range")
}

func getStream(t *t) {
	big := strings.Repeat("x", 10_000)
	for i := range 300 {
		t.put(fmt.Sprintf("s%03d", i), big)
	}
	want := t.get("s", clientv3.WithPrefix())
	chunks, err := t.client.GetStream(t, t.prefix+"s", clientv3.WithPrefix())
	t.must(err)
	got, err := clientv3.GetStreamToGetResponse(chunks)
	t.must(err)
	t.equal([]any{len(got.Kvs), got.Count, got.More}, []any{len(want.Kvs), want.Count, want.More}, "streamed get")
	t.equal(got.Kvs, want.Kvs, "streamed key-values")
}

func deletes(t *t) {
	for _, key := range []string{"d1", "d2", "d3", "e"} {
		t.put(key, key)
	}
	gone, err := t.client.Delete(t, t.prefix+"d", clientv3.WithPrefix(), clientv3.WithPrevKV())
	t.must(err)
	t.equal([]any{gone.Deleted, len(gone.PrevKvs), string(gone.PrevKvs[2].Value)}, []any{3, 3, "d3"}, "deleted")
	nothing, err := t.client.Delete(t, t.prefix+"d", clientv3.WithPrefix())
	t.must(err)
	t.equal([]any{nothing.Deleted, nothing.Header.Revision}, []any{0, gone.Header.Revision}, "a delete of nothing")
	t.equal(t.get("", clientv3.WithPrefix()).Count, 1, "what is left")
}

func txn(t *t) {
	revision := t.put("a", "1")
	a, b := t.prefix+"a", t.prefix+"b"
	response, err := t.client.Txn(t).
		If(clientv3.Compare(clientv3.ModRevision(a), "=", revision), clientv3.Compare(clientv3.CreateRevision(b), "=", 0)).
		Then(clientv3.OpPut(a, "2"), clientv3.OpPut(b, "2"), clientv3.OpGet(a)).
		Else(clientv3.OpGet(a)).Commit()
	t.must(err)
	t.check(response.Succeeded, "the txn must succeed")
	t.equal(response.Header.Revision, revision+1, "one revision for both puts")
	t.equal(string(response.Responses[2].GetResponseRange().Kvs[0].Value), "2", "a get sees the txn's own put")
	response, err = t.client.Txn(t).If(clientv3.Compare(clientv3.Value(a), "=", "1")).Then(clientv3.OpDelete(a)).Else(clientv3.OpGet(b)).Commit()
	t.must(err)
	t.check(!response.Succeeded, "the txn must fail")
	t.equal(string(response.Responses[0].GetResponseRange().Kvs[0].Value), "2", "the other branch")
	all := clientv3.Compare(clientv3.Version(t.prefix), "=", 0).WithPrefix()
	response, err = t.client.Txn(t).If(all).Then().Else().Commit()
	t.must(err)
	t.check(!response.Succeeded, "a compare over a range")
}

func nestedTxn(t *t) {
	t.put("a", "1")
	a := t.prefix + "a"
	inner := clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Value(a), "=", "1")},
		[]clientv3.Op{clientv3.OpPut(t.prefix+"inner", "saw the old value")}, []clientv3.Op{clientv3.OpPut(t.prefix+"inner", "saw the new value")})
	response, err := t.client.Txn(t).Then(clientv3.OpPut(a, "2"), inner).Commit()
	t.must(err)
	t.check(response.Responses[1].GetResponseTxn().Succeeded, "compares come before any write")
	t.equal(string(t.get("inner").Kvs[0].Value), "saw the old value", "nested branch")
}

func compaction(t *t) {
	old := t.put("c", "1")
	current := t.put("c", "2")
	_, err := t.client.Compact(t, current, clientv3.WithCompactPhysical())
	t.must(err)
	_, err = t.client.Get(t, t.prefix+"c", clientv3.WithRev(old))
	t.check(errors.Is(err, rpctypes.ErrCompacted), fmt.Sprintf("want ErrCompacted, got %v", err))
	_, err = t.client.Compact(t, current)
	t.check(errors.Is(err, rpctypes.ErrCompacted), fmt.Sprintf("want ErrCompacted again, got %v", err))
	_, err = t.client.Get(t, t.prefix+"c", clientv3.WithRev(current+1000))
	t.check(errors.Is(err, rpctypes.ErrFutureRev), fmt.Sprintf("want ErrFutureRev, got %v", err))
	t.equal(string(t.get("c", clientv3.WithRev(current)).Kvs[0].Value), "2", "the compacted revision itself")
}

func typedErrors(t *t) {
	expect := func(err, want error) {
		t.check(errors.Is(err, want), fmt.Sprintf("want %q, got %v", want, err))
	}
	_, err := t.client.Put(t, "", "x")
	expect(err, rpctypes.ErrEmptyKey)
	_, err = t.client.Put(t, t.prefix+"x", "", clientv3.WithIgnoreValue())
	expect(err, rpctypes.ErrKeyNotFound)
	_, err = t.client.Put(t, t.prefix+"x", "v", clientv3.WithLease(424242))
	expect(err, rpctypes.ErrLeaseNotFound)
	_, err = t.client.Put(t, t.prefix+"x", strings.Repeat("x", 1_572_864))
	expect(err, rpctypes.ErrRequestTooLarge)
	_, err = t.client.Txn(t).Then(clientv3.OpPut(t.prefix+"x", "1"), clientv3.OpPut(t.prefix+"x", "2")).Commit()
	expect(err, rpctypes.ErrDuplicateKey)
	many := make([]clientv3.Op, 129)
	for i := range many {
		many[i] = clientv3.OpPut(fmt.Sprintf("%s%d", t.prefix, i), "")
	}
	_, err = t.client.Txn(t).Then(many...).Commit()
	expect(err, rpctypes.ErrTooManyOps)
	t.equal(t.get("", clientv3.WithPrefix()).Count, 0, "nothing was written")
}
