// A continuous load on a cluster through etcd's own Go client, which judges what it is told: no acknowledged write is lost, no
// linearizable read is stale, no watch misses, doubles or reorders an event. Lines on standard input steer it:
//
//	endpoints A,B,C   other members from now on
//	mark              begins to measure the longest time without an acknowledged write anew
//	pause, resume     stops the clients and waits for what is under way; lets them go on
//	report            prints one line of JSON
//
// It ends, after a last report, when standard input ends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"go.uber.org/zap"
)

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:2379", "the members, separated by commas")
	clients := flag.Int("clients", 8, "how many write and read")
	keys := flag.Int("keys", 16, "keys of each client")
	pause := flag.Duration("think", 0, "how long a client waits between two calls")
	flag.DurationVar(&attemptTimeout, "attempt", attemptTimeout, "how long a client waits for one answer before it asks again")
	prefix := flag.String("prefix", "load/", "what all keys begin with")
	flag.Parse()

	load, err := newLoad(strings.Split(*endpoints, ","), *clients, *keys, *prefix, *pause)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	load.start()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "endpoints":
			load.setEndpoints(strings.Split(rest, ","))
		case "mark":
			load.mark()
		case "pause":
			load.pause()
		case "resume":
			load.resume()
		case "report":
		default:
			load.fail("unknown word %q", word)
		}
		print(load.report())
	}
	load.finish()
	print(load.report())
}

func print(report any) {
	line, _ := json.Marshal(report)
	fmt.Println(string(line))
}

var quiet = zap.NewNop()
