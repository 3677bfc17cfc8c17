// The concurrency package: sessions, mutexes, elections, software transactional memory.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func concurrencyCases() []testCase {
	return []testCase{
		{"concurrency: a mutex lets one in at a time, in turn", mutexes},
		{"concurrency: TryLock says when it is taken, and a closed session frees it", tryLock},
		{"concurrency: an election passes from leader to leader and observers see it", elections},
		{"concurrency: STM keeps sums while ten clients move money", stm},
		{"concurrency: STM at every isolation level", stmLevels},
	}
}

func (t *t) session(options ...concurrency.SessionOption) *concurrency.Session {
	session, err := concurrency.NewSession(t.client, options...)
	t.must(err)
	return session
}

func mutexes(t *t) {
	inside, entered := 0, 0
	var group sync.WaitGroup
	problems := make(chan string, 8)
	for range 8 {
		session := t.session(concurrency.WithTTL(20))
		group.Add(1)
		go func() {
			defer group.Done()
			mutex := concurrency.NewMutex(session, t.prefix+"mutex")
			for range 5 {
				if err := mutex.Lock(t); err != nil {
					problems <- err.Error()
					return
				}
				inside++
				entered++
				if inside != 1 {
					problems <- "two inside at once"
				}
				inside--
				if err := mutex.Unlock(t); err != nil {
					problems <- err.Error()
					return
				}
			}
		}()
	}
	group.Wait()
	close(problems)
	for problem := range problems {
		panic(failure(problem))
	}
	t.equal(entered, 40, "entries")
}

func tryLock(t *t) {
	first, second := t.session(), t.session()
	held, wanted := concurrency.NewMutex(first, t.prefix+"try"), concurrency.NewMutex(second, t.prefix+"try")
	t.must(held.TryLock(t))
	err := wanted.TryLock(t)
	t.check(errors.Is(err, concurrency.ErrLocked), fmt.Sprintf("want ErrLocked, got %v", err))
	response, err := t.client.Txn(t).If(held.IsOwner()).Commit()
	t.must(err)
	t.check(response.Succeeded, "the holder is the owner")
	t.must(first.Close())
	t.must(wanted.Lock(t))
	t.must(wanted.Unlock(t))
}

func elections(t *t) {
	name := t.prefix + "election"
	one, two := concurrency.NewElection(t.session(), name), concurrency.NewElection(t.session(), name)
	ctx, cancel := context.WithCancel(t)
	defer cancel()
	seen := one.Observe(ctx)
	t.must(one.Campaign(t, "one"))
	t.equal(string((<-seen).Kvs[0].Value), "one", "observed")
	won := make(chan error, 1)
	go func() { won <- two.Campaign(t, "two") }()
	t.must(one.Proclaim(t, "still one"))
	t.equal(string((<-seen).Kvs[0].Value), "still one", "observed proclamation")
	t.must(one.Resign(t))
	t.must(<-won)
	t.equal(string((<-seen).Kvs[0].Value), "two", "observed the next")
	leader, err := two.Leader(t)
	t.must(err)
	t.equal(string(leader.Kvs[0].Value), "two", "leader")
	t.must(two.Resign(t))
	_, err = two.Leader(t)
	t.check(errors.Is(err, concurrency.ErrElectionNoLeader), fmt.Sprintf("want no leader, got %v", err))
}

func stm(t *t) {
	const accounts, each = 5, 100
	account := func(i int) string { return fmt.Sprintf("%saccount%d", t.prefix, i%accounts) }
	for i := range accounts {
		t.put(fmt.Sprintf("account%d", i), strconv.Itoa(each))
	}
	var group sync.WaitGroup
	problems := make(chan error, 100)
	for client := range 10 {
		group.Add(1)
		go func() {
			defer group.Done()
			for round := range 10 {
				from, to := account(client+round), account(client*3+round*7+1)
				if from == to {
					continue
				}
				_, err := concurrency.NewSTM(t.client, func(s concurrency.STM) error {
					left, err := strconv.Atoi(s.Get(from))
					if err != nil {
						return err
					}
					right, err := strconv.Atoi(s.Get(to))
					if err != nil {
						return err
					}
					s.Put(from, strconv.Itoa(left-1))
					s.Put(to, strconv.Itoa(right+1))
					return nil
				}, concurrency.WithAbortContext(t))
				if err != nil {
					problems <- err
				}
			}
		}()
	}
	group.Wait()
	close(problems)
	for err := range problems {
		t.must(err)
	}
	sum := 0
	for _, kv := range t.get("account", clientv3.WithPrefix()).Kvs {
		amount, err := strconv.Atoi(string(kv.Value))
		t.must(err)
		sum += amount
	}
	t.equal(sum, accounts*each, "sum of all accounts")
}

func stmLevels(t *t) {
	for _, level := range []concurrency.Isolation{
		concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads, concurrency.ReadCommitted,
	} {
		key := fmt.Sprintf("%slevel%d", t.prefix, level)
		_, err := concurrency.NewSTM(t.client, func(s concurrency.STM) error {
			s.Put(key, s.Get(key)+"x")
			s.Del(key + "-absent")
			return nil
		}, concurrency.WithIsolation(level), concurrency.WithAbortContext(t), concurrency.WithPrefetch(key))
		t.must(err)
		t.equal(string(t.get(fmt.Sprintf("level%d", level)).Kvs[0].Value), "x", "value")
	}
}
