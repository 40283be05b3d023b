// Command bench measures the gaia program from the outside, as a process on the embedded default, and prints what it found beside what
// was aimed at. A bare net/http server that writes the same bytes is the yardstick: it runs as a process of its own on the same machine,
// at nearly the same moment, and pays the same for the load generator.
//
// It must not import a package of gaia: what can't be seen over the socket or in the process table is not measured. A figure that misses
// its goal does not fail the run; a wrong answer does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// patience bounds the whole run, so that a server that hangs does not hang it.
const patience = 20 * time.Minute

type options struct {
	gaia   string
	rounds int
	round  time.Duration

	database string // a PostgreSQL for rows of their own; empty: none
	only     string // one part of the run; empty: all

	// The run starts itself as a server in these ways.
	bare  string
	proxy string
	mock  time.Duration
	paced int
	tools bool
}

func main() {
	var o options
	flag.StringVar(&o.gaia, "gaia", "bin/gaia", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each load")
	flag.DurationVar(&o.round, "round", 500*time.Millisecond, "length of one round")
	flag.StringVar(&o.database, "database", os.Getenv("BENCH_DATABASE_URL"), "a PostgreSQL that may be filled; without it there are no rows for one")
	flag.StringVar(&o.only, "only", "", "measure only this: lists, access, agents, assets, search, chats, events, streams or hop")
	flag.StringVar(&o.bare, "bare", "", "serve the answers recorded in this file (the run starts itself this way)")
	flag.StringVar(&o.proxy, "proxy", "", "serve a bare reverse proxy to this address (likewise)")
	flag.DurationVar(&o.mock, "mock", -1, "serve a provider that thinks for so long (likewise)")
	flag.IntVar(&o.paced, "paced", 0, "serve a provider of answers with so many words, twenty a second (likewise)")
	flag.BoolVar(&o.tools, "tools", false, "serve a tool over standard input and output (likewise)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	switch {
	case o.bare != "":
		return serveBare(ctx, o.bare, out)
	case o.proxy != "":
		return serveProxy(ctx, o.proxy, out)
	case o.mock >= 0:
		return serveMock(ctx, o.mock, out)
	case o.tools:
		return serveTools(ctx)
	case o.paced > 0:
		return servePaced(ctx, o.paced, tokensEvery, out)
	}
	if o.rounds < 1 || o.round <= 0 {
		return fmt.Errorf("-rounds %d and -round %s have to be above zero", o.rounds, o.round)
	}
	gaia, err := filepath.Abs(o.gaia)
	if err != nil {
		return err
	}
	o.gaia = gaia
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "gaia-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder is no failure
	begun, before := time.Now(), loadAverage()
	r, err := measureAll(ctx, o, dir)
	if err != nil {
		return err
	}
	r.conditions = fmt.Sprintf("%s, %s/%s, %d cores. The run took %.0f s; load average %s before it and %s after it.",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Since(begun).Seconds(), before, loadAverage())
	return r.print(out)
}

// measureAll goes from what needs an untouched process to what leaves most behind.
func measureAll(ctx context.Context, o options, dir string) (report, error) {
	r := report{only: o.only}
	var err error
	if r.measures("chats") {
		if r.chats, r.firstTokens, err = measureChats(ctx, o, dir); err != nil {
			return r, fmt.Errorf("chats: %w", err)
		}
	}
	if r.measures("streams") {
		if r.streams, err = measureStreams(ctx, o, dir); err != nil {
			return r, fmt.Errorf("streams: %w", err)
		}
	}
	if r.measures("access") {
		if r.access, err = measureAccess(ctx, o, dir); err != nil {
			return r, fmt.Errorf("access: %w", err)
		}
	}
	if r.measures("agents") {
		if r.agents, err = measureAgents(ctx, o, dir); err != nil {
			return r, fmt.Errorf("agents: %w", err)
		}
	}
	if r.measures("events") {
		if r.events, err = measureEvents(ctx, o, dir); err != nil {
			return r, fmt.Errorf("events: %w", err)
		}
	}
	if r.measures("assets") {
		if r.assets, err = measureAssets(ctx, o, dir); err != nil {
			return r, fmt.Errorf("assets: %w", err)
		}
	}
	if r.measures("search") {
		if r.searches, err = measureSearches(ctx, o, dir); err != nil {
			return r, fmt.Errorf("search: %w", err)
		}
	}
	if r.measures("hop") {
		if r.hop, err = measureHop(ctx, o, dir); err != nil {
			return r, fmt.Errorf("hop: %w", err)
		}
	}
	if !r.measures("lists") {
		return r, nil
	}
	progress("starting %d times", 2*starts)
	if r.starts, err = measureStarts(ctx, o.gaia, dir); err != nil {
		return r, fmt.Errorf("start: %w", err)
	}
	info, err := os.Stat(o.gaia)
	if err != nil {
		return r, err
	}
	r.binary = info.Size()
	server, err := startGaia(ctx, o.gaia, filepath.Join(dir, "data"))
	if err != nil {
		return r, err
	}
	defer server.kill()
	if err := r.measureServer(ctx, o, server, dir); err != nil {
		return r, err
	}
	return r, server.stop()
}

func (r *report) measureServer(ctx context.Context, o options, server *process, dir string) (err error) {
	progress("idle for %s", idleTime)
	if r.idle, err = server.idleMemory(ctx); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	c := newClient(server.url, maxWorkers)
	defer c.close()
	progress("making %d personas", fewPersonas)
	ids, err := seed(ctx, c, 0, fewPersonas)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if r.sizes, err = measureSizes(ctx, c); err != nil {
		return fmt.Errorf("sizes: %w", err)
	}
	if r.loads, err = measureLoads(ctx, o, c, dir); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if r.loaded, err = server.memory(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	if r.fewLists, err = measureLists(ctx, c, ids[0], 60); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	progress("making %d personas", manyPersonas-fewPersonas)
	if _, err = seed(ctx, c, fewPersonas, manyPersonas); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if r.manyLists, err = measureLists(ctx, c, ids[0], 20); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	return nil
}

// progress tells a person that something happens; the report alone goes to the standard output.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
