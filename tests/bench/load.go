package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// workers is how many requests are under way at once, in turn.
var workers = []int{1, maxWorkers}

const (
	maxWorkers = 16
	warmUp     = 150 * time.Millisecond
)

// throughput is what one round of a load found.
type throughput struct {
	perSecond float64
	p50, p99  time.Duration
}

// comparison sets gaia against the bare server under one load: medians of the rounds, and medians of the ratios of each pair of rounds.
type comparison struct {
	load      string
	workers   int
	gaia      throughput
	bare      throughput
	perSecond float64
	p50, p99  float64
}

// measureLoads records what gaia answers, lets a bare server repeat it, and puts both under the same loads in turn.
func measureLoads(ctx context.Context, o options, gaia *client, dir string) ([]comparison, error) {
	loads, err := record(ctx, gaia)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "answers.json")
	if err := writeAnswers(file, loads); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, err := launch(ctx, exec.Command(self, "-bare", file))
	if err != nil {
		return nil, err
	}
	defer server.kill()
	bare := newClient(server.url, maxWorkers)
	defer bare.close()
	var results []comparison
	for i, l := range loads {
		for _, n := range workers {
			progress("%s, %d at once", l.name, n)
			c, err := compare(ctx, o, gaia, bare, l, barePath(i), n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			results = append(results, c)
		}
	}
	return results, server.stop()
}

func compare(ctx context.Context, o options, gaia, bare *client, l load, path string, workers int) (comparison, error) {
	same := l
	same.request.path = path
	var ours, theirs []throughput
	for round := range o.rounds + 1 {
		length := o.round
		if round == 0 {
			length = warmUp
		}
		a, err := oneRound(ctx, gaia, l, workers, length)
		if err != nil {
			return comparison{}, fmt.Errorf("gaia: %w", err)
		}
		b, err := oneRound(ctx, bare, same, workers, length)
		if err != nil {
			return comparison{}, fmt.Errorf("bare: %w", err)
		}
		if round > 0 {
			ours, theirs = append(ours, a), append(theirs, b)
		}
	}
	return summarise(l.name, workers, ours, theirs), nil
}

// oneRound sends one load for one round and looks at every answer.
func oneRound(ctx context.Context, c *client, l load, workers int, length time.Duration) (throughput, error) {
	times := make([][]time.Duration, workers)
	group, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	for i := range workers {
		group.Go(func() error {
			var body bytes.Buffer
			r := l.request
			if l.requests != nil {
				r = l.requests[i]
			}
			for time.Since(begun) < length {
				a, err := c.sendInto(ctx, r, &body)
				if err != nil {
					return err
				}
				if err := l.check(a); err != nil {
					return err
				}
				times[i] = append(times[i], a.took)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return throughput{}, err
	}
	elapsed := time.Since(begun)
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	return throughput{
		perSecond: float64(len(all)) / elapsed.Seconds(), p50: percentile(all, 50), p99: percentile(all, 99),
	}, nil
}

func summarise(name string, workers int, gaia, bare []throughput) comparison {
	c := comparison{load: name, workers: workers, gaia: medianOf(gaia), bare: medianOf(bare)}
	var perSecond, p50, p99 []float64
	for i := range gaia {
		perSecond = append(perSecond, ratio(gaia[i].perSecond, bare[i].perSecond))
		p50 = append(p50, ratio(gaia[i].p50, bare[i].p50))
		p99 = append(p99, ratio(gaia[i].p99, bare[i].p99))
	}
	c.perSecond, c.p50, c.p99 = median(perSecond), median(p50), median(p99)
	return c
}

func medianOf(rounds []throughput) throughput {
	var perSecond []float64
	var p50, p99 []time.Duration
	for _, r := range rounds {
		perSecond, p50, p99 = append(perSecond, r.perSecond), append(p50, r.p50), append(p99, r.p99)
	}
	return throughput{median(perSecond), median(p50), median(p99)}
}
