package forward_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"gaia/adapters/forward"
	"gaia/domain"
)

// ways are how a request can come to a service: straight, through the standard library's proxy, through a forwarder.
func ways(b *testing.B, service http.HandlerFunc, run func(b *testing.B, url string)) {
	b.Helper()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(domain.AnswerHeader, "1")
		if r.URL.Path == "/readyz" {
			w.Header().Set(forward.InstanceHeader, "c1")
			return
		}
		service(w, r)
	}))
	b.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("straight", func(b *testing.B) { run(b, behind.URL) })
	b.Run("reverseproxy", func(b *testing.B) {
		transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
		defer transport.CloseIdleConnections()
		front := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			signed, _ := sign(domain.Forwarded{}, "chat")
			p.Out.Header.Set(domain.ForwardedHeader, signed)
		}})
		defer front.Close()
		run(b, front.URL)
	})
	b.Run("forward", func(b *testing.B) {
		f, err := forward.New(forward.Config{Targets: map[domain.Service][]string{chat: {behind.URL}}, Sign: sign})
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f.Forward(w, r, domain.Hop{Service: chat}); err != nil && !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
		}))
		defer front.Close()
		run(b, front.URL)
	})
}

func fetch(b *testing.B, client *http.Client, method, url string, body io.Reader) int64 {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, url, body)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkRequest is one small request after the other: the time that the hop adds.
func BenchmarkRequest(b *testing.B) {
	ways(b, says(`{"detail":"hello"}`), func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			fetch(b, client, http.MethodPost, url, strings.NewReader(`{"message":"hello"}`))
		}
	})
}

// BenchmarkConcurrent is as many at once as there is room for.
func BenchmarkConcurrent(b *testing.B) {
	ways(b, says(`{"detail":"hello"}`), func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		defer client.CloseIdleConnections()
		b.SetParallelism(16)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				fetch(b, client, http.MethodGet, url, nil)
			}
		})
	})
}

// BenchmarkJSON is an answer that is held back until it is whole, one after the other.
func BenchmarkJSON(b *testing.B) {
	for _, size := range []int{16 << 10, 100 << 10, 1 << 20} {
		text := strings.Repeat("x", size)
		b.Run(strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
			ways(b, says(text), func(b *testing.B, url string) {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					fetch(b, client, http.MethodGet, url, nil)
				}
			})
		})
	}
}

// BenchmarkDownload is a large file.
func BenchmarkDownload(b *testing.B) {
	const size = 64 << 20
	ways(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "model/gltf-binary")
		_, _ = io.CopyN(w, zeros{}, size)
	}, func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.SetBytes(size)
		for b.Loop() {
			fetch(b, client, http.MethodGet, url, nil)
		}
	})
}

// BenchmarkUpload is one too.
func BenchmarkUpload(b *testing.B) {
	const size = 64 << 20
	ways(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.SetBytes(size)
		for b.Loop() {
			fetch(b, client, http.MethodPost, url, io.LimitReader(zeros{}, size))
		}
	})
}

// BenchmarkEvents is a stream of small events, each sent on its own.
func BenchmarkEvents(b *testing.B) {
	const events = 1000
	event := "data: " + strings.Repeat("x", 200) + "\n\n"
	ways(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ctl := http.NewResponseController(w)
		for range events {
			_, _ = io.WriteString(w, event)
			_ = ctl.Flush()
		}
	}, func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			if n := fetch(b, client, http.MethodGet, url, nil); n != events*int64(len(event)) {
				b.Fatalf("%d bytes", n)
			}
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkEcho is one event at a time, each asked for when the last has come: what the hop adds to one.
func BenchmarkEcho(b *testing.B) {
	next := make(chan struct{})
	ways(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ctl := http.NewResponseController(w)
		_ = ctl.Flush()
		for range next {
			if _, err := io.WriteString(w, "data: hello\n\n"); err != nil || ctl.Flush() != nil {
				return
			}
		}
	}, func(b *testing.B, url string) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		in := bufio.NewReader(resp.Body)
		b.ReportAllocs()
		for b.Loop() {
			next <- struct{}{}
			for range 2 {
				if _, err := in.ReadSlice('\n'); err != nil {
					b.Fatal(err)
				}
			}
		}
		close(next)
		_ = resp.Body.Close()
		next = make(chan struct{})
	})
}
