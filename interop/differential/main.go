// Sends the same seeded random requests to a real etcd and to the server under test and compares replies, errors, watch events and
// hashes. Requests go one after the other, so every reply is determined. A difference prints the request, both replies and the command
// that brings it back. It must never excuse a difference: what etcd leaves open is named in compare.go and watch.go, nothing else is.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"time"

	"google.golang.org/protobuf/proto"
)

type run struct {
	seed      int64
	operation int
	strict    bool
	verbose   bool
	maxDiffs  int
	diffs     int
	compared  int
	skipped   int
	lost      int
	reference *side
	subject   *side
	gen       *generator
	watchers  [watchStreams][]int64
}

func main() {
	r := &run{}
	var reference, subject string
	var files tlsFiles
	operations := flag.Int("ops", 100_000, "how many random operations")
	flag.Int64Var(&r.seed, "seed", time.Now().UnixNano()%1_000_000, "names the run")
	flag.StringVar(&reference, "reference", "127.0.0.1:2379", "the real etcd, fresh")
	flag.StringVar(&subject, "subject", "127.0.0.1:22379", "the server under test, fresh")
	flag.BoolVar(&r.strict, "strict-ids", false, "cluster id, member id and term must be equal too")
	flag.BoolVar(&r.verbose, "verbose", false, "print every request")
	flag.IntVar(&r.maxDiffs, "max-diffs", 10, "stop after so many differences")
	flag.StringVar(&files.ca, "cacert", "", "TLS to both: the authority")
	flag.StringVar(&files.cert, "cert", "", "TLS to both: the client's certificate")
	flag.StringVar(&files.key, "key", "", "TLS to both: the client's key")
	flag.Parse()
	r.gen = &generator{rng: rand.New(rand.NewSource(r.seed)), revision: 1}

	started := time.Now()
	err := r.connect(reference, subject, files)
	if err == nil {
		err = r.loop(*operations, started)
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		fmt.Printf("seed %d, operation %d: %v\nreplay: %s\n", r.seed, r.operation, err, r.replay())
	}
	fmt.Printf("%d operations (%d left out: they would end a real etcd), %d replies compared in %.0f s, seed %d: %d differences\n",
		r.operation, r.skipped, r.compared, time.Since(started).Seconds(), r.seed, r.diffs)
	if r.lost > 0 {
		fmt.Printf("%d previous values were lost by the reference's own race and not counted\n", r.lost)
	}
	if err != nil || r.diffs > 0 {
		os.Exit(1)
	}
}

func (r *run) connect(reference, subject string, files tlsFiles) (err error) {
	if r.reference, err = dial("reference", reference, files); err != nil {
		return err
	}
	if r.subject, err = dial("subject", subject, files); err != nil {
		return err
	}
	for _, s := range []*side{r.reference, r.subject} {
		if err := s.openWatches(); err != nil {
			return err
		}
		if err := s.openKeepAlive(); err != nil {
			return err
		}
	}
	return r.sentinels()
}

func (r *run) loop(operations int, started time.Time) error {
	lastProgress := started
	for r.operation < operations {
		r.operation++
		if err := r.step(); err != nil {
			return err
		}
		if r.operation%400 == 0 {
			if err := r.barrier(); err != nil {
				return err
			}
		}
		if time.Since(lastProgress) > 15*time.Second {
			lastProgress = time.Now()
			fmt.Printf("%d of %d operations, revision %d, %d differences\n", r.operation, operations, r.gen.revision, r.diffs)
		}
	}
	return nil
}

func (r *run) replay() string {
	return fmt.Sprintf("npm run interop -- differential --seed %d --ops %d", r.seed, r.operation)
}

// difference reports one; it is an error, which ends the run, when there were too many.
func (r *run) difference(what, request, reference, subject string) error {
	r.diffs++
	fmt.Printf("DIFFERENCE %d at operation %d: %s\n  request:   %s\n  reference: %s\n  subject:   %s\n  replay: %s\n",
		r.diffs, r.operation, what, shorten(request), shorten(reference), shorten(subject), r.replay())
	if r.diffs >= r.maxDiffs {
		return fmt.Errorf("stopped after %d differences", r.diffs)
	}
	return nil
}

// both sends the same bytes to both servers at the same time.
func (r *run) both(method string, request []byte, streamed bool) (reply, reply) {
	answered := make(chan reply, 1)
	go func() { answered <- r.subject.call(method, request, streamed) }()
	reference := r.reference.call(method, request, streamed)
	return reference, <-answered
}

// exchange sends one request, compares, and gives back the reference's message, or nil after an error reply.
func (r *run) exchange(method string, request proto.Message, encoded []byte, empty func() proto.Message, normal func(proto.Message)) (proto.Message, error) {
	if encoded == nil {
		var err error
		if encoded, err = proto.Marshal(request); err != nil {
			return nil, err
		}
	}
	if r.verbose {
		fmt.Printf("%d %s %s\n", r.operation, method, shorten(render(request)))
	}
	streamed := method == rangeStreamMethod
	reference, subject := r.both(method, encoded, streamed)
	r.compared++
	shown := func() string {
		if request == nil {
			return fmt.Sprintf("%x", encoded)
		}
		return fmt.Sprintf("%s (as sent: %x)", render(request), encoded[:min(len(encoded), 200)])
	}
	if reference.code != subject.code || reference.text != subject.text {
		return nil, r.difference(method, shown(), reference.status(), subject.status())
	}
	if reference.code != "" {
		return nil, nil
	}
	a, errA := merge(reference.messages, empty)
	b, errB := merge(subject.messages, empty)
	if errA != nil || errB != nil {
		return nil, r.difference(method+" (reply cannot be decoded)", shown(), fmt.Sprint(errA), fmt.Sprint(errB))
	}
	original := proto.Clone(a)
	normal(a)
	normal(b)
	nearlyEqualTTL(a, b)
	if !proto.Equal(a, b) {
		if err := r.difference(method, shown(), render(a), render(b)); err != nil {
			return nil, err
		}
	}
	return original, r.sameRevision(original, b)
}

func (r reply) status() string {
	if r.code == "" {
		return fmt.Sprintf("OK (%d messages)", len(r.messages))
	}
	return fmt.Sprintf("%s: %q", r.code, r.text)
}

func merge(messages [][]byte, empty func() proto.Message) (proto.Message, error) {
	whole := empty()
	for _, message := range messages {
		part := empty()
		if err := proto.Unmarshal(message, part); err != nil {
			return nil, err
		}
		proto.Merge(whole, part)
	}
	return whole, nil
}
