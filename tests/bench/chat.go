package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// chatWorkers is how many connections chats come over, in turn.
var chatWorkers = []int{1, 64}

// chatDelays are how long the mock provider thinks.
var chatDelays = []time.Duration{0, 20 * time.Millisecond}

// chatRow is a chat through a mock provider: straight to it, through a bare reverse proxy, and through gaia with authentication, persona,
// history, ledger and events.
type chatRow struct {
	store   string
	delay   time.Duration
	workers int
	direct  throughput
	proxy   throughput
	gaia    throughput
	// Medians over the rounds of what gaia adds to the direct way in the same round, and of its share of the proxy's requests per second.
	addedP50, addedP99, share float64
	proxyP50, proxyP99        float64       // what the proxy adds
	commitP50, commitP99      time.Duration // the part of it that waits for the store, as gaia tells
}

// firstTokenRow is the time from sending a request to the first word of a stream.
type firstTokenRow struct {
	store               string
	direct, proxy, gaia time.Duration // medians
}

// conversations are chats of their own for each connection, as different users have them.
func conversations(n int) []request {
	requests := make([]request, n)
	for i := range requests {
		body := fmt.Sprintf(`{"message":%q,"conversation_id":"00000000-0000-4000-8000-%012x"}`, question, i+1)
		requests[i] = request{method: http.MethodPost, path: "/api/v1/chat", body: []byte(body)}
	}
	return requests
}

// fillHistories makes every conversation so long that from then on every prompt is as long as prompts get.
func fillHistories(ctx context.Context, c *client, requests []request) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range requests {
		group.Go(func() error {
			for range fullHistory {
				if _, err := c.expect(ctx, r, http.StatusOK); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// measureChats puts the three ways under load, on each store.
func measureChats(ctx context.Context, o options, dir string) (rows []chatRow, firsts []firstTokenRow, err error) {
	stores := []struct{ name, setting string }{{"embedded (SQLite)", ""}}
	if o.database != "" {
		stores = append(stores, struct{ name, setting string }{"PostgreSQL", "DATABASE_URL=" + o.database})
	}
	for _, store := range stores {
		for _, delay := range chatDelays {
			progress("chats through a provider that takes %s, on %s", delay, store.name)
			found, first, err := measureChatsOn(ctx, o, filepath.Join(dir, fmt.Sprintf("chat-%d-%d", len(rows), delay)), store.setting, delay)
			if err != nil {
				return nil, nil, err
			}
			for i := range found {
				found[i].store, found[i].delay = store.name, delay
			}
			rows = append(rows, found...)
			if delay == 0 {
				first.store = store.name
				firsts = append(firsts, first)
			}
		}
	}
	return rows, firsts, nil
}

// ways are the processes that a chat can go through.
type ways struct{ mock, proxy, gaia *process }

func (w ways) kill() {
	for _, p := range []*process{w.mock, w.proxy, w.gaia} {
		if p != nil {
			p.kill()
		}
	}
}

func startWays(ctx context.Context, o options, dir, setting string, mock ...string) (w ways, err error) {
	defer func() {
		if err != nil {
			w.kill()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return w, err
	}
	if w.mock, err = launch(ctx, exec.Command(self, mock...)); err != nil {
		return w, err
	}
	if w.proxy, err = launch(ctx, exec.Command(self, "-proxy", w.mock.url)); err != nil {
		return w, err
	}
	if setting != "" {
		migrate := exec.Command(o.gaia, "migrate", "up")
		migrate.Env = append(cleanEnvironment(), setting)
		if out, err := migrate.CombinedOutput(); err != nil {
			return w, fmt.Errorf("gaia migrate up: %w: %s", err, out)
		}
	}
	w.gaia, err = startGaia(ctx, o.gaia, dir, "OPENAI_API_KEY=sk-bench", "OPENAI_BASE_URL="+w.mock.url+"/v1", "DEFAULT_LLM_MODEL=gpt-4o-mini", setting)
	if err == nil {
		_, err = w.gaia.awaitReady(ctx)
	}
	return w, err
}

func measureChatsOn(ctx context.Context, o options, dir, setting string, delay time.Duration) (rows []chatRow, first firstTokenRow, err error) {
	w, err := startWays(ctx, o, dir, setting, "-mock", delay.String())
	if err != nil {
		return nil, first, err
	}
	defer w.kill()
	for _, n := range chatWorkers {
		row, err := compareChats(ctx, o, w, n)
		if err != nil {
			return nil, first, err
		}
		rows = append(rows, row)
	}
	if first, err = firstTokens(ctx, w); err != nil {
		return nil, first, err
	}
	return rows, first, w.gaia.stop()
}

func compareChats(ctx context.Context, o options, w ways, workers int) (chatRow, error) {
	row := chatRow{workers: workers}
	gaia, direct, proxy := newClient(w.gaia.url, workers), newClient(w.mock.url, workers), newClient(w.proxy.url, workers)
	defer gaia.close()
	defer direct.close()
	defer proxy.close()
	upstream := load{request: request{method: http.MethodPost, path: "/v1/chat/completions", body: upstreamPrompt()}, check: wantStream}
	var commits []time.Duration
	chat := load{requests: conversations(workers), check: wantAnswer}
	if err := fillHistories(ctx, gaia, chat.requests); err != nil {
		return row, err
	}
	var ours, straight, proxied []throughput
	var p50, p99, proxyP50, proxyP99, share []float64
	for round := range o.rounds + 1 {
		length := o.round
		if round == 0 {
			length = warmUp
		}
		g, err := oneRound(ctx, gaia, chat, workers, length)
		if err != nil {
			return row, fmt.Errorf("gaia: %w", err)
		}
		p, err := oneRound(ctx, proxy, upstream, workers, length)
		if err != nil {
			return row, fmt.Errorf("proxy: %w", err)
		}
		d, err := oneRound(ctx, direct, upstream, workers, length)
		if err != nil {
			return row, fmt.Errorf("direct: %w", err)
		}
		if round > 0 {
			ours, straight, proxied = append(ours, g), append(straight, d), append(proxied, p)
			p50, p99 = append(p50, float64(g.p50-d.p50)), append(p99, float64(g.p99-d.p99))
			proxyP50, proxyP99 = append(proxyP50, float64(p.p50-d.p50)), append(proxyP99, float64(p.p99-d.p99))
			share = append(share, ratio(g.perSecond, p.perSecond))
		}
	}
	for range 200 {
		a, err := gaia.expect(ctx, chat.requests[0], http.StatusOK)
		if err != nil {
			return row, err
		}
		if d, ok := commitTime(a.header); ok {
			commits = append(commits, d)
		}
	}
	row.gaia, row.direct, row.proxy = medianOf(ours), medianOf(straight), medianOf(proxied)
	row.addedP50, row.addedP99, row.share = median(p50), median(p99), median(share)
	row.proxyP50, row.proxyP99 = median(proxyP50), median(proxyP99)
	row.commitP50, row.commitP99 = percentile(commits, 50), percentile(commits, 99)
	return row, nil
}

// commitTime reads how long the store took from the answer's Server-Timing.
func commitTime(h http.Header) (time.Duration, bool) {
	for part := range strings.SplitSeq(h.Get("Server-Timing"), ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), "commit;dur="); ok {
			d, err := time.ParseDuration(value + "ms")
			return d, err == nil
		}
	}
	return 0, false
}

// upstreamPrompt is as long as what gaia sends with a full history.
func upstreamPrompt() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"system","content":"You are Mu."}`)
	for range 25 {
		b.WriteString(`,{"role":"user","content":"` + question + `"},{"role":"assistant","content":"The word0 word1 word2 word3 word4 word5 word6 word7"}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func wantStream(a answer) error {
	if a.status != http.StatusOK || !bytes.HasSuffix(a.body, []byte("data: [DONE]\n\n")) {
		return fmt.Errorf("%w: status %d: %.200q", errWrong, a.status, a.body)
	}
	return nil
}

func wantAnswer(a answer) error {
	if a.status != http.StatusOK || !bytes.Contains(a.body, []byte("word14")) {
		return fmt.Errorf("%w: status %d: %.200q", errWrong, a.status, a.body)
	}
	return nil
}

// firstTokens measures streams one after the other, the three ways in turn.
func firstTokens(ctx context.Context, w ways) (row firstTokenRow, err error) {
	stream := request{method: http.MethodPost, path: "/api/v1/chat/completions", body: []byte(`{"message":"` + question + `","stream":true}`)}
	upstream := request{method: http.MethodPost, path: "/v1/chat/completions", body: upstreamPrompt()}
	var times [3][]time.Duration
	for range 200 {
		for i, way := range []struct {
			base string
			r    request
		}{{w.mock.url, upstream}, {w.proxy.url, upstream}, {w.gaia.url, stream}} {
			took, err := firstToken(ctx, way.base, way.r)
			if err != nil {
				return row, err
			}
			times[i] = append(times[i], took)
		}
	}
	return firstTokenRow{direct: median(times[0]), proxy: median(times[1]), gaia: median(times[2])}, nil
}

func firstToken(ctx context.Context, base string, r request) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", apiKey)
	begun := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var took time.Duration
	for lines.Scan() {
		if took == 0 && bytes.Contains(lines.Bytes(), []byte(`"content":"The"`)) {
			took = time.Since(begun)
		}
	}
	if took == 0 {
		return 0, errors.Join(fmt.Errorf("%w: no word in a stream, status %d", errWrong, resp.StatusCode), lines.Err())
	}
	return took, lines.Err()
}
