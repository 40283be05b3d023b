package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The load of many streams at once.
const (
	manyStreams  = 500
	streamTokens = 200
	tokensEvery  = 50 * time.Millisecond
	streamRounds = 10
	goalLateness = 50 * time.Millisecond
)

// streamsResult is what many slow streams at once did.
type streamsResult struct {
	frames   int             // words that arrived, over all rounds
	missing  int             // words that did not
	lateness []time.Duration // how much later than due words arrived, percentiles 50, 99 and 100
	before   memory          // of gaia with nothing to do, after a first round
	during   memory          // in the middle of a round
	after    []memory        // at the end of each round, with nothing to do
}

// perStream is what gaia held for each stream beyond what it holds anyway.
func (r streamsResult) perStream() int64 {
	return (r.during.resident - r.before.resident) / manyStreams
}

// leak is by how much the memory grew from round to round, after the first three.
func (r streamsResult) leak() int64 {
	const settled = 3
	if len(r.after) <= settled {
		return 0
	}
	return (r.after[len(r.after)-1].anonymous - r.after[settled-1].anonymous) / int64(len(r.after)-settled)
}

func measureStreams(ctx context.Context, o options, dir string) (result streamsResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return result, err
	}
	mock, err := launch(ctx, exec.Command(self, "-paced", strconv.Itoa(streamTokens)))
	if err != nil {
		return result, err
	}
	defer mock.kill()
	gaia, err := startGaia(ctx, o.gaia, filepath.Join(dir, "streams"), "OPENAI_API_KEY=sk-bench", "OPENAI_BASE_URL="+mock.url+"/v1", "DEFAULT_LLM_MODEL=gpt-4o-mini")
	if err != nil {
		return result, err
	}
	defer gaia.kill()
	if _, err := gaia.awaitReady(ctx); err != nil {
		return result, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: manyStreams}
	defer transport.CloseIdleConnections()
	var all []time.Duration
	for round := range streamRounds + 1 {
		progress("%d streams at once, round %d of %d", manyStreams, round, streamRounds)
		middle := make(chan memory, 1)
		timer := time.AfterFunc(streamTokens*tokensEvery/2, func() {
			m, err := gaia.memory()
			if err == nil {
				middle <- m
			}
		})
		late, err := streamRound(ctx, &http.Client{Transport: transport}, gaia.url)
		timer.Stop()
		if err != nil {
			return result, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return result, err
		}
		m, err := gaia.memory()
		if err != nil {
			return result, err
		}
		if round == 0 { // the first one fills pools and caches
			result.before = m
			continue
		}
		result.after = append(result.after, m)
		result.frames += len(late)
		result.missing += manyStreams*streamTokens - len(late)
		all = append(all, late...)
		select {
		case during := <-middle:
			if during.resident > result.during.resident {
				result.during = during
			}
		default:
		}
	}
	result.lateness = []time.Duration{percentile(all, 50), percentile(all, 99), percentile(all, 100)}
	return result, gaia.stop()
}

// streamRound reads all streams at once and returns how late each word was.
func streamRound(ctx context.Context, client *http.Client, base string) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	group, ctx := errgroup.WithContext(ctx)
	for range manyStreams {
		group.Go(func() error {
			late, err := readStream(ctx, client, base)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, late...)
			return err
		})
	}
	err := group.Wait()
	return all, err
}

var contentKey = []byte(`"content":"`)

func readStream(ctx context.Context, client *http.Client, base string) ([]time.Duration, error) {
	body := []byte(`{"messages":[{"role":"user","content":"` + question + `"}],"stream":true}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", apiKey)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	late := make([]time.Duration, 0, streamTokens)
	lines := bufio.NewScanner(resp.Body)
	done := false
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.Equal(line, []byte("data: [DONE]")) {
			done = true
		}
		_, word, found := bytes.Cut(line, contentKey)
		if !found {
			continue
		}
		stamp, _, _ := bytes.Cut(word, []byte(" "))
		if due, err := strconv.ParseInt(string(stamp), 10, 64); err == nil {
			late = append(late, time.Since(time.UnixMicro(due)))
		}
	}
	if !done {
		return late, fmt.Errorf("%w: a stream without its end, status %d after %d words", errWrong, resp.StatusCode, len(late))
	}
	return late, lines.Err()
}
