package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// What is aimed at.
const (
	goalReady   = 300 * time.Millisecond
	goalIdleMB  = 60.0
	goalFaster  = 97.0 // percent that a warm read is faster than a cold one
	goalSmaller = 30.0 // percent that an answer is smaller when it is compressed
	goalShare   = 0.70 // of what a bare reverse proxy serves
	goalAdded   = 300 * time.Microsecond
)

// What lists took on the LLM Platform.
const (
	oldCold = 1955 * time.Millisecond
	oldWarm = 60 * time.Millisecond
)

// report is everything that a run found.
type report struct {
	conditions          string
	only                string
	chats               []chatRow
	firstTokens         []firstTokenRow
	streams             streamsResult
	access              accessResult
	agents              agentsResult
	assets              assetsResult
	searches            []searchRow
	events              []eventRow
	starts              startTimes
	binary              int64
	idle, loaded        memory
	sizes               []size
	loads, hop          []comparison
	fewLists, manyLists listTimes
}

func (r report) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s\n", r.conditions)
	section := func(title string, t table) {
		_, titleErr := fmt.Fprintf(out, "\n%s\n\n", title)
		err = errors.Join(err, titleErr, t.print(out))
	}
	if r.measures("chats") {
		section("Chats through a provider that answers at once, or after 20 ms: straight to it, through a bare reverse proxy, through gaia", r.chatTable())
		section("Time to the first word of a stream (medians of 200)", r.firstTokenTable())
	}
	if r.measures("streams") {
		section(fmt.Sprintf("%d streams at once, %d words each, one every %s, %d rounds", manyStreams, streamTokens, tokensEvery, streamRounds), r.streamTable())
	}
	if r.measures("access") {
		section(fmt.Sprintf("Who calls: finding it out alone, and in whole requests one after the other (%d of each)", accessSamples), r.accessTable())
		section("A whole request in the process, without a network", r.requestTable())
	}
	if r.measures("agents") {
		section("Tools: what each call adds to a chat, and the same call by an MCP client that does nothing else (medians)", r.toolTable())
		section("Workflows: each step is written down twice, with its event", r.stepTable())
	}
	if r.measures("events") && len(r.events) > 0 {
		section("Events: from the answer of a chat to its event at a subscriber, and how fast the outbox empties when NATS is back", r.eventTable())
	}
	if r.measures("assets") {
		section(fmt.Sprintf("Files of assets: %d MiB through the embedded server, and through one that only copies (median of %d)", transferBytes>>20, transferRounds),
			r.transferTable())
		section(fmt.Sprintf("Assets made to order: whole requests, with a generator that answers at once (%d)", jobSamples), r.jobTable())
	}
	if r.measures("search") {
		section(fmt.Sprintf("Search among %d assets: whole requests of one client, a count of all that match included (%d of each)", manyAssets, assetSearches),
			r.searchTable())
	}
	if r.measures("hop") {
		section("The platform as a gateway and three services (apart) against one process (one), on the same PostgreSQL and NATS", r.hopTable())
	}
	if !r.measures("lists") {
		return err
	}
	section("Load: gaia against a bare net/http server that writes the same bytes (ratio: gaia/bare)", r.loadTable())
	section("Persona lists, cold and warm (medians; one client, from sending to the last byte)", r.listTable())
	section("Size of answers in bytes", r.sizeTable())
	section("The process", r.processTable())
	return err
}

// measures reports whether a part belongs to the run.
func (r report) measures(part string) bool { return r.only == "" || r.only == part }

func (r report) chatTable() table {
	t := table{head: []string{
		"store", "provider", "at once", "direct req/s", "proxy req/s", "gaia req/s", "gaia/proxy", "goal", "", "direct p50", "proxy adds", "gaia adds",
		"direct p99", "proxy adds", "gaia adds", "goal", "", "commit p50", "commit p99",
	}}
	for _, c := range r.chats {
		shareGoal, shareMet, addedGoal, addedMet := "", "", "", ""
		if c.delay == 0 && c.workers > 1 {
			shareGoal, shareMet = fmt.Sprintf("≥ %.2f", goalShare), atLeast(c.share, goalShare)
		}
		if c.delay == 0 && c.workers == 1 {
			addedGoal, addedMet = "≤ "+ms(goalAdded), atMost(c.addedP99, float64(goalAdded))
		}
		t.add(c.store, ms(c.delay), strconv.Itoa(c.workers), perSecond(c.direct), perSecond(c.proxy), perSecond(c.gaia), factor(c.share), shareGoal, shareMet,
			ms(c.direct.p50), ms(time.Duration(c.proxyP50)), ms(time.Duration(c.addedP50)),
			ms(c.direct.p99), ms(time.Duration(c.proxyP99)), ms(time.Duration(c.addedP99)),
			addedGoal, addedMet, ms(c.commitP50), ms(c.commitP99))
	}
	return t
}

func perSecond(t throughput) string { return fmt.Sprintf("%.0f", t.perSecond) }

func (r report) firstTokenTable() table {
	t := table{head: []string{"store", "direct", "proxy", "gaia", "added"}}
	for _, f := range r.firstTokens {
		t.add(f.store, ms(f.direct), ms(f.proxy), ms(f.gaia), ms(f.gaia-f.direct))
	}
	return t
}

func (r report) streamTable() table {
	s := r.streams
	t := table{head: []string{"figure", "value", "goal", ""}}
	t.add("words that arrived", strconv.Itoa(s.frames), "", "")
	t.add("words that did not", strconv.Itoa(s.missing), "0", atMost(float64(s.missing), 0))
	t.add("lateness, p50", ms(s.lateness[0]), "", "")
	t.add("lateness, p99", ms(s.lateness[1]), "≤ "+ms(goalLateness), atMost(float64(s.lateness[1]), float64(goalLateness)))
	t.add("lateness, worst", ms(s.lateness[2]), "", "")
	t.add("memory for each stream", fmt.Sprintf("%.1f kB", float64(s.perStream())/1000), "", "")
	t.add("memory after the first round and after the last", megabytes(s.before.resident)+", "+megabytes(s.after[len(s.after)-1].resident), "", "")
	t.add("heap and stacks grow by, for each round after the third", fmt.Sprintf("%.2f MB", mb(s.leak())), "", "")
	return t
}

func (r report) loadTable() table {
	t := table{head: []string{
		"load", "at once", "gaia req/s", "bare req/s", "ratio", "gaia p50", "bare p50", "ratio", "gaia p99", "bare p99", "ratio",
	}}
	for _, c := range r.loads {
		t.add(c.load, strconv.Itoa(c.workers), fmt.Sprintf("%.0f", c.gaia.perSecond), fmt.Sprintf("%.0f", c.bare.perSecond), factor(c.perSecond),
			ms(c.gaia.p50), ms(c.bare.p50), factor(c.p50), ms(c.gaia.p99), ms(c.bare.p99), factor(c.p99))
	}
	return t
}

func (r report) listTable() table {
	t := table{head: []string{"list", "cold", "warm", "faster", "goal", "", "warm against the old cold", "goal", ""}}
	for _, l := range []listTimes{r.fewLists, r.manyLists} {
		row := func(how string, cold, warm time.Duration) {
			own, old := saved(cold, warm), saved(oldCold, warm)
			t.add(fmt.Sprintf("%d personas, %s", l.personas, how), ms(cold), ms(warm), percent(own), atLeastPercent(goalFaster), atLeast(own, goalFaster),
				fmt.Sprintf("%.2f %%", old), atLeastPercent(goalFaster), atLeast(old, goalFaster))
		}
		row(fmt.Sprintf("%d kB", l.plainBytes/1000), median(l.plain.cold), median(l.plain.warm))
		row(fmt.Sprintf("%d kB of gzip", l.gzipBytes/1000), median(l.gzip.cold), median(l.gzip.warm))
		row("unchanged since (304)", median(l.plain.cold), median(l.unchanged))
	}
	t.add("nothing (GET /livez), for comparison", "", ms(median(slices.Concat(r.fewLists.nothing, r.manyLists.nothing))), "", "", "", "", "", "")
	t.add("LLM Platform, for comparison", ms(oldCold), ms(oldWarm), percent(saved(oldCold, oldWarm)), "", "", "", "", "")
	return t
}

func (r report) sizeTable() table {
	t := table{head: []string{"answer", "plain", "gzip", "smaller", "goal", ""}}
	for _, s := range r.sizes {
		smaller := saved(float64(s.plain), float64(s.gzip))
		verdict := atLeast(smaller, goalSmaller)
		if s.gzip == s.plain {
			verdict = "too small to compress"
		}
		t.add(s.what, strconv.Itoa(s.plain), strconv.Itoa(s.gzip), percent(smaller), atLeastPercent(goalSmaller), verdict)
	}
	return t
}

func (r report) processTable() table {
	t := table{head: []string{"figure", "value", "worst", "goal", ""}}
	for _, s := range []struct {
		what  string
		times []time.Duration
	}{
		{"ready, first start with an empty data folder", r.starts.first},
		{"ready, later starts", r.starts.later},
	} {
		m := median(s.times)
		t.add(fmt.Sprintf("%s (median of %d)", s.what, len(s.times)), ms(m), ms(slices.Max(s.times)), "≤ "+ms(goalReady),
			atMost(float64(m), float64(goalReady)))
	}
	idle := mb(r.idle.resident)
	t.add(fmt.Sprintf("memory, %s idle after a first start", idleTime), megabytes(r.idle.resident), "", fmt.Sprintf("≤ %.0f MB", goalIdleMB), atMost(idle, goalIdleMB))
	t.add("  of it heap and stacks (no file behind it)", megabytes(r.idle.anonymous), "", "", "")
	t.add("memory, right after the load", megabytes(r.loaded.resident), "", "", "")
	t.add("  of it heap and stacks (no file behind it)", megabytes(r.loaded.anonymous), "", "", "")
	t.add("size of the program", megabytes(r.binary), "", "", "")
	return t
}

func atLeast(value, goal float64) string { return verdict(value >= goal) }
func atMost(value, goal float64) string  { return verdict(value <= goal) }

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

func ms(d time.Duration) string {
	switch v := d.Seconds() * 1000; {
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 1:
		return fmt.Sprintf("%.1f ms", v)
	default:
		return fmt.Sprintf("%.3f ms", v)
	}
}

func mb(bytes int64) float64          { return float64(bytes) / 1e6 }
func megabytes(bytes int64) string    { return fmt.Sprintf("%.1f MB", mb(bytes)) }
func percent(v float64) string        { return fmt.Sprintf("%.1f %%", v) }
func atLeastPercent(v float64) string { return fmt.Sprintf("≥ %.0f %%", v) }
func factor(v float64) string         { return fmt.Sprintf("%.2f", v) }
