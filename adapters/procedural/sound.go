package procedural

import (
	"context"
	"encoding/binary"
	"iter"
	"math"
	"strconv"
	"strings"

	"gaia/domain"
)

const (
	fullRate    = 44100
	halfRate    = 22050
	quarterRate = 11025
	longest     = 120.0 // seconds
	shortest    = 0.25
)

// tape is what a sound is recorded on.
type tape struct {
	rate    float64
	samples []float64
	ctx     context.Context //nolint:containedctx // tunes have many loops, and all of them go over the tape
}

// batch is how many samples are recorded before somebody looks whether they are still wanted.
const batch = 1 << 13

// places are those of all samples. They end early when nobody wants the sound any more.
func (t *tape) places() iter.Seq[int] { return t.between(0, len(t.samples)) }

func (t *tape) between(start, end int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := start; i < end; i++ {
			if (i-start)%batch == 0 && t.ctx.Err() != nil || !yield(i) {
				return
			}
		}
	}
}

func (t *tape) seconds(i int) float64 { return float64(i) / t.rate }
func (t *tape) length() float64       { return float64(len(t.samples)) / t.rate }
func (t *tape) index(s float64) int   { return int(s * t.rate) }

// play adds a sound to what is there: from a time on, for as long, what voice gives for the seconds since then.
func (t *tape) play(from, long float64, voice func(s float64) float64) {
	start, end := max(0, t.index(from)), min(len(t.samples), t.index(from+long))
	for i := range t.between(start, end) {
		t.samples[i] += voice(float64(i-start) / t.rate)
	}
}

// tune is a kind of sound that is known how to be made.
type tune struct {
	name  string
	long  float64 // seconds, when the words name none
	build func(w *wish, r *random, t *tape)
}

// sound makes a WAV file.
func (w *wish) sound(ctx context.Context, o domain.GenerationOrder) ([]domain.GeneratedFile, error) {
	kind := w.tune()
	rate, long, err := w.room(kind, o.Request)
	if err != nil {
		return nil, err
	}
	loop := w.has("loop", "looping", "looped", "seamless", "loopable")
	t := w.record(ctx, kind, rate, long, loop)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	picture, err := waveform(ctx, t, w)
	if err != nil {
		return nil, err
	}
	return []domain.GeneratedFile{
		{Format: "wav", Data: t.wav(), Attributes: map[string]any{
			"seed": o.Seed, "archetype": kind.name, "duration_seconds": t.length(), "sample_rate": rate, "loop": loop,
		}},
		{Format: "png", Data: picture, Preview: true},
	}, nil
}

// tune is the kind of sound that the words mean; what is not known is a melody.
func (w *wish) tune() tune {
	if kind, _, ok := subject(w.words, tunes); ok {
		return kind
	}
	if kind, _, ok := subject(w.all, tunes); ok {
		return kind
	}
	return tune{"melody", 8, melody}
}

const wavHeader = 44

// room is the rate and the length for which there is room.
func (w *wish) room(kind tune, r domain.AssetRequest) (rate int, long float64, err error) {
	rate, long = fullRate, w.duration(kind.long)
	if r.Quality == domain.AssetLow {
		rate = halfRate
	}
	if r.MaxBytes == 0 {
		return rate, long, nil
	}
	for rate > quarterRate && int64(float64(long*float64(rate)))*2+wavHeader > r.MaxBytes {
		rate /= 2
	}
	long = min(long, float64(r.MaxBytes-wavHeader-2)/2/float64(rate))
	if long < shortest {
		return 0, 0, domain.NewError(domain.BadRequest, "No sound fits into so few bytes: allow a larger file.")
	}
	return rate, long, nil
}

// duration is the length that the words name, in seconds: "3 seconds", "2s", "one minute" is not understood.
func (w *wish) duration(usual float64) float64 {
	for i, word := range w.words {
		number, unit := word, ""
		if cut := strings.TrimLeft(word, "0123456789"); cut != word {
			number, unit = strings.TrimSuffix(word, cut), cut
		}
		if unit == "" && i+1 < len(w.words) {
			unit = w.words[i+1]
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n <= 0 {
			continue
		}
		switch unit {
		case "s", "sec", "secs", "second", "seconds":
			return clamp(n, shortest, longest)
		case "ms", "milliseconds", "millisecond":
			return clamp(n/1000, shortest, longest)
		case "m", "min", "mins", "minute", "minutes":
			return clamp(float64(n*60), shortest, longest)
		}
	}
	return usual
}

// record plays a sound, as loud as it can be without being cut off, and softens its beginning and end. When the context ends it is not
// complete.
func (w *wish) record(ctx context.Context, kind tune, rate int, long float64, loop bool) *tape {
	n := int(long * float64(rate))
	join := 0
	if loop {
		join = min(n/3, rate/2)
	}
	t := &tape{rate: float64(rate), samples: make([]float64, n+join), ctx: ctx}
	kind.build(w, w.random.fork("sound"), t)
	if loop {
		t.close(n)
	}
	t.level(0.89)
	if !loop {
		t.fade(0.004, min(0.4, float64(long*0.15)))
	}
	return t
}

// close makes what is behind the end fade into the beginning, so that the end leads there.
func (t *tape) close(n int) {
	tail := t.samples[n:]
	t.samples = t.samples[:n]
	for i, x := range tail {
		k := float64(i) / float64(len(tail))
		t.samples[i] = float64(t.samples[i]*sin(k*tau/4)) + float64(x*cos(k*tau/4))
	}
}

// level makes the loudest place as loud as peak.
func (t *tape) level(peak float64) {
	most := 0.0
	for _, x := range t.samples {
		most = max(most, abs(x))
	}
	if most < 1e-9 {
		return
	}
	for i, x := range t.samples {
		t.samples[i] = float64(x / most * peak)
	}
}

func (t *tape) fade(in, out float64) {
	first, last := t.index(in), t.index(out)
	n := len(t.samples)
	for i := range min(first, n) {
		t.samples[i] = float64(t.samples[i] * (float64(i) / float64(first)))
	}
	for i := range min(last, n) {
		t.samples[n-1-i] = float64(t.samples[n-1-i] * (float64(i) / float64(last)))
	}
}

// wav is the tape as a file: one channel, 16 bits.
func (t *tape) wav() []byte {
	size := 2 * len(t.samples)
	b := make([]byte, 0, wavHeader+size)
	four := func(n int) { b = binary.LittleEndian.AppendUint32(b, uint32(n)) } // #nosec G115 -- at most a few megabytes
	two := func(n int) { b = binary.LittleEndian.AppendUint16(b, uint16(n)) }  // #nosec G115 -- small constants
	b = append(b, "RIFF"...)
	four(wavHeader - 8 + size)
	b = append(b, "WAVEfmt "...)
	four(16)
	two(1) // PCM
	two(1) // channel
	four(int(t.rate))
	four(2 * int(t.rate))
	two(2)
	two(16)
	b = append(b, "data"...)
	four(size)
	for _, x := range t.samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(math.Floor(float64(clamp(x, -1, 1)*32767)+0.5)))) // #nosec G115 -- the bits are meant
	}
	return b
}
