package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// scrapeTimeout bounds how long those may take who are asked for their figures.
const scrapeTimeout = 5 * time.Second

// ServeHTTP answers Prometheus in its text format.
func (t *Telemetry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.scraped == nil {
		http.Error(w, "nothing is measured", http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
	defer cancel()
	var all metricdata.ResourceMetrics
	err := t.scraped.Collect(ctx, &all)
	if err != nil && len(all.ScopeMetrics) == 0 {
		t.cfg.Logger.Warn("metrics can't be collected", "error", err)
		http.Error(w, "metrics can't be collected", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(exposition(&all))
}

// exposition writes metrics as Prometheus reads them, sorted, so that two can be compared.
func exposition(all *metricdata.ResourceMetrics) []byte {
	var out page
	for _, s := range all.ScopeMetrics {
		list := slices.SortedFunc(slices.Values(s.Metrics), func(a, b metricdata.Metrics) int { return cmp.Compare(a.Name, b.Name) })
		for _, one := range list {
			out.metric(one)
		}
	}
	return out.Bytes()
}

type page struct{ bytes.Buffer }

func (p *page) metric(one metricdata.Metrics) {
	switch data := one.Data.(type) {
	case metricdata.Gauge[float64]:
		writePoints(p, one, "gauge", data.DataPoints)
	case metricdata.Gauge[int64]:
		writePoints(p, one, "gauge", data.DataPoints)
	case metricdata.Sum[float64]:
		writePoints(p, one, sumKind(data.IsMonotonic), data.DataPoints)
	case metricdata.Sum[int64]:
		writePoints(p, one, sumKind(data.IsMonotonic), data.DataPoints)
	case metricdata.Histogram[float64]:
		writeHistogram(p, one, data.DataPoints)
	case metricdata.Histogram[int64]:
		writeHistogram(p, one, data.DataPoints)
	}
}

func sumKind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "gauge"
}

func (p *page) head(name, kind, about string) {
	about = strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(about)
	_, _ = p.WriteString("# HELP " + name + " " + about + "\n# TYPE " + name + " " + kind + "\n")
}

func writePoints[N int64 | float64](p *page, one metricdata.Metrics, kind string, points []metricdata.DataPoint[N]) {
	name := prometheusName(one.Name, one.Unit)
	if kind == "counter" {
		name = strings.TrimSuffix(name, "_total") + "_total"
	}
	p.head(name, kind, one.Description)
	for _, point := range points {
		p.line(name, labels(point.Attributes), float64(point.Value))
	}
}

func writeHistogram[N int64 | float64](p *page, one metricdata.Metrics, points []metricdata.HistogramDataPoint[N]) {
	name := prometheusName(one.Name, one.Unit)
	p.head(name, "histogram", one.Description)
	for _, point := range points {
		of, sum := labels(point.Attributes), uint64(0)
		for i, count := range point.BucketCounts {
			sum += count
			bound := math.Inf(1)
			if i < len(point.Bounds) {
				bound = point.Bounds[i]
			}
			p.line(name+"_bucket", append(of[:len(of):len(of)], `le="`+number(bound)+`"`), float64(sum))
		}
		p.line(name+"_sum", of, float64(point.Sum))
		p.line(name+"_count", of, float64(point.Count))
	}
}

func (p *page) line(name string, labels []string, value float64) {
	_, _ = p.WriteString(name)
	if len(labels) > 0 {
		_, _ = p.WriteString("{" + strings.Join(labels, ",") + "}")
	}
	_, _ = p.WriteString(" " + number(value) + "\n")
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	default:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func labels(set attribute.Set) []string {
	list := make([]string, 0, set.Len()+1)
	for _, kv := range set.ToSlice() {
		list = append(list, plain(string(kv.Key))+`="`+escapeLabel.Replace(kv.Value.String())+`"`)
	}
	return list
}

// units have words in names. Those in braces, which count things, have none.
var units = map[string]string{"s": "seconds", "By": "bytes", "USD": "usd"}

// prometheusName is the name by the conventions of Prometheus: with its unit at the end.
func prometheusName(name, unit string) string {
	name = plain(name)
	if word := units[unit]; word != "" && !strings.HasSuffix(name, "_"+word) {
		name += "_" + word
	}
	return name
}

func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		default:
			return '_'
		}
	}, name)
}
