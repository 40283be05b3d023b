package procedural

import "math"

// The voices that sounds are put together from.

const waveSize = 4096

// wave is one turn of a sine, and the beginning of the next.
var wave = func() (table [waveSize + 1]float64) {
	for i := range table {
		table[i] = sin(tau * float64(i) / waveSize)
	}
	return table
}()

// sine is a sine of a number of turns.
func sine(turns float64) float64 {
	x := float64((turns - math.Floor(turns)) * waveSize)
	i := int(x)
	return mix(wave[i], wave[min(i+1, waveSize)], x-float64(i))
}

// triangle of a number of turns.
func triangle(turns float64) float64 { return 4*abs(fraction(turns)-0.5) - 1 }

// saw is a sum of a few sines, so that nothing above what the ear hears is folded back.
func saw(turns float64, partials int) float64 {
	sum := 0.0
	for k := 1; k <= partials; k++ {
		sum += sine(float64(turns*float64(k))) / float64(k)
	}
	return float64(sum * 0.6)
}

// decay goes from 1 to a thousandth in a number of seconds.
func decay(s, long float64) float64 { return exp(-6.9 * s / long) }

// hiss is white noise.
func hiss(r *random) float64 { return 2*r.unit() - 1 }

// lowpass lets slow changes through.
type lowpass struct{ value float64 }

func (f *lowpass) pass(x, frequency, rate float64) float64 {
	k := min(1, tau*frequency/rate)
	f.value += float64((x - f.value) * min(1, k))
	return f.value
}

// band lets frequencies near one through: a state variable filter.
type band struct{ low, mid float64 }

func (f *band) pass(x, frequency, width, rate float64) float64 {
	k := min(1.2, tau*frequency/rate)
	f.low += float64(k * f.mid)
	high := x - f.low - float64(width*f.mid)
	f.mid += float64(k * high)
	return f.mid
}

// echo is a room: four combs and two filters that blur them.
func (t *tape) echo(amount, size float64) {
	wet := make([]float64, len(t.samples))
	for _, ms := range []float64{29.7, 37.1, 41.1, 43.7} {
		line := make([]float64, max(1, int(ms*size*t.rate/1000)))
		tone := 0.0
		for i := range t.places() {
			x, k := t.samples[i], i%len(line)
			tone += float64((line[k] - tone) * 0.6)
			line[k] = x + float64(tone*0.8)
			wet[i] += tone * 0.25
		}
	}
	for _, ms := range []float64{5.0, 1.7} {
		line := make([]float64, max(1, int(ms*t.rate/1000)))
		for i := range t.places() {
			x, k := wet[i], i%len(line)
			old := line[k]
			line[k] = x + float64(old*0.6)
			wet[i] = old - float64(line[k]*0.6)
		}
	}
	for i := range t.places() {
		t.samples[i] = float64(t.samples[i]*(1-float64(amount*0.4))) + float64(wet[i]*amount)
	}
}

// pitch is the frequency of a number of half tones above the a of 220.
func pitch(halves int) float64 {
	f := 220.0
	for ; halves >= 12; halves -= 12 {
		f = float64(f * (2))
	}
	for ; halves < 0; halves += 12 {
		f /= 2
	}
	return float64(f * halfTones[halves])
}

// halfTones are the twelfth roots of two.
var halfTones = [12]float64{
	1, 1.0594630943592953, 1.122462048309373, 1.189207115002721, 1.2599210498948732, 1.3348398541700344,
	1.4142135623730951, 1.4983070768766815, 1.5874010519681994, 1.681792830507429, 1.7817974362806785, 1.8877486253633868,
}
