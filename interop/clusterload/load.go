// The clients of the load and what they find: each writes keys of its own and reads everybody's. Called by main.go; it must never count an
// unanswered call as done.
package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var attemptTimeout = 3 * time.Second

const (
	// A call that has not succeeded after so long of trying has failed.
	callTimeout = 90 * time.Second
	problemsMax = 20
)

// load is all clients, the watcher, and what they found.
type load struct {
	clients []*client
	watch   *watcher
	prefix  string
	think   time.Duration

	context context.Context
	cancel  context.CancelFunc
	group   sync.WaitGroup
	// gate is held for reading during a call; pause takes it for writing.
	gate sync.RWMutex

	puts, gets, retries   atomic.Int64
	lastAcked, longestGap atomic.Int64

	lock     sync.Mutex
	problems []string
}

type report struct {
	Puts       int64    `json:"puts"`
	Gets       int64    `json:"gets"`
	Retries    int64    `json:"retries"`
	Events     int64    `json:"events"`
	Revision   int64    `json:"revision"`
	LongestGap int64    `json:"longestGapMillis"`
	Problems   []string `json:"problems"`
}

func newLoad(endpoints []string, clients, keys int, prefix string, think time.Duration) (*load, error) {
	l := &load{prefix: prefix, think: think, problems: []string{}}
	l.context, l.cancel = context.WithCancel(context.Background())
	for i := 0; i < clients; i++ {
		connection, err := dial(endpoints)
		if err != nil {
			return nil, err
		}
		l.clients = append(l.clients, &client{load: l, number: i, etcd: connection, keys: make([]cell, keys)})
	}
	connection, err := dial(endpoints)
	if err != nil {
		return nil, err
	}
	l.watch = &watcher{load: l, etcd: connection, versions: map[string]int64{}}
	return l, nil
}

func dial(endpoints []string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		Logger:               quiet,
	})
}

func (l *load) start() {
	first := l.watch.begin()
	l.lastAcked.Store(now())
	l.group.Add(len(l.clients))
	go l.watch.run(first)
	for _, c := range l.clients {
		go c.run()
	}
}

func (l *load) setEndpoints(endpoints []string) {
	for _, c := range l.clients {
		c.etcd.SetEndpoints(endpoints...)
	}
	l.watch.etcd.SetEndpoints(endpoints...)
}

func (l *load) mark() {
	l.longestGap.Store(0)
	l.lastAcked.Store(now())
}

func (l *load) pause() { l.gate.Lock() }

func (l *load) resume() {
	l.lastAcked.Store(now())
	l.gate.Unlock()
}

// finish reads every key once more, and waits until the watcher has seen the newest revision.
func (l *load) finish() {
	l.cancel()
	l.group.Wait()
	last := int64(0)
	for _, c := range l.clients {
		last = max(last, c.verify())
	}
	l.watch.end(last)
}

func (l *load) acknowledged() {
	at := now()
	gap := at - l.lastAcked.Swap(at)
	for {
		longest := l.longestGap.Load()
		if gap <= longest || l.longestGap.CompareAndSwap(longest, gap) {
			return
		}
	}
}

func (l *load) fail(format string, values ...any) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.problems) < problemsMax {
		l.problems = append(l.problems, fmt.Sprintf(format, values...))
	}
}

func (l *load) report() report {
	l.lock.Lock()
	defer l.lock.Unlock()
	// The silence that lasts still counts.
	gap := max(l.longestGap.Load(), now()-l.lastAcked.Load())
	return report{
		Puts: l.puts.Load(), Gets: l.gets.Load(), Retries: l.retries.Load(),
		Events: l.watch.events.Load(), Revision: l.watch.revision.Load(),
		LongestGap: gap, Problems: append([]string{}, l.problems...),
	}
}

func now() int64 { return time.Now().UnixMilli() }

// cell is one key: only its client writes it, everybody reads it.
type cell struct {
	attempted, acked atomic.Int64
}

type client struct {
	load   *load
	number int
	etcd   *clientv3.Client
	keys   []cell
	step   int
}

func (c *client) key(i int) string { return fmt.Sprintf("%sc%03d/k%03d", c.load.prefix, c.number, i) }

func (c *client) run() {
	defer c.load.group.Done()
	for c.load.context.Err() == nil {
		c.load.gate.RLock()
		c.step++
		if c.step%3 == 0 {
			other := c.load.clients[(c.number+c.step/3)%len(c.load.clients)]
			c.get(other, c.step%len(c.keys))
		} else {
			c.put(c.step % len(c.keys))
		}
		c.load.gate.RUnlock()
		time.Sleep(c.load.think)
	}
}

// put writes the next number under a key, where the number before stands: an attempt that was thought lost and arrives late changes
// nothing, so a key's version is the number of puts that were acknowledged, and perhaps one more.
func (c *client) put(i int) {
	cell, key := &c.keys[i], c.key(i)
	value := cell.attempted.Add(1)
	if c.retried("put", func(ctx context.Context) error {
		response, err := c.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.Version(key), "=", value-1)).
			Then(clientv3.OpPut(key, strconv.FormatInt(value, 10))).
			Else(clientv3.OpGet(key)).Commit()
		if err == nil && !response.Succeeded {
			c.judge(key, value, response.Responses[0].GetResponseRange().Kvs)
		}
		return err
	}) {
		cell.acked.Store(value)
		c.load.puts.Add(1)
		c.load.acknowledged()
	}
}

// judge looks at a put that found another number than the one before: an earlier attempt of the same put must have come through.
func (c *client) judge(key string, value int64, kvs []*mvccpb.KeyValue) {
	if len(kvs) == 0 || kvs[0].Version != value {
		c.load.fail("%s is %v where %d was to be put after %d", key, kvs, value, value-1)
	}
}

// get reads somebody's key: at least what was acknowledged before the read began, at most what was attempted before it ended.
func (c *client) get(owner *client, i int) {
	cell := &owner.keys[i]
	least := cell.acked.Load()
	var value int64
	if !c.retried("get", func(ctx context.Context) error {
		var err error
		value, _, err = read(ctx, c.etcd, owner.key(i))
		return err
	}) {
		return
	}
	c.load.gets.Add(1)
	if most := cell.attempted.Load(); value < least || value > most {
		c.load.fail("%s read as %d, acknowledged before was %d, attempted until now %d", owner.key(i), value, least, most)
	}
}

func read(ctx context.Context, etcd *clientv3.Client, key string) (value, revision int64, err error) {
	response, err := etcd.Get(ctx, key)
	if err != nil || len(response.Kvs) == 0 {
		return 0, 0, err
	}
	value, err = strconv.ParseInt(string(response.Kvs[0].Value), 10, 64)
	return value, response.Kvs[0].ModRevision, err
}

func (c *client) retried(what string, attempt func(ctx context.Context) error) bool {
	begin := time.Now()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
		err := attempt(ctx)
		cancel()
		if err == nil {
			return true
		}
		c.load.retries.Add(1)
		if time.Since(begin) > callTimeout {
			c.load.fail("a %s failed for %v: %v", what, callTimeout, err)
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// verify reads what is there at the end, and gives the newest revision.
func (c *client) verify() int64 {
	newest := int64(0)
	for i := range c.keys {
		cell := &c.keys[i]
		c.retried("last get", func(ctx context.Context) error {
			value, revision, err := read(ctx, c.etcd, c.key(i))
			if err == nil && value != cell.acked.Load() && value != cell.attempted.Load() {
				c.load.fail("%s is %d at the end, acknowledged was %d", c.key(i), value, cell.acked.Load())
			}
			newest = max(newest, revision)
			return err
		})
	}
	return newest
}
