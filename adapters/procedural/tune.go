package procedural

// tunes by the words that mean them.
var tunes = named([]entry[tune]{
	{"rain drizzle shower rainfall downpour", tune{"rain", 6, rain}},
	{"wind breeze gust howling storm blizzard", tune{"wind", 6, wind}},
	{"ocean sea waves wave beach surf water river stream", tune{"waves", 8, waves}},
	{"fire campfire fireplace crackle crackling flame flames bonfire", tune{"fire", 6, crackle}},
	{"thunder lightning thunderstorm", tune{"thunder", 6, thunder}},
	{"explosion explode blast boom bomb grenade gunshot shot cannon gun", tune{"explosion", 3, explosion}},
	{"laser blaster zap phaser ray pew beam", tune{"laser", 3, laser}},
	{"bell bells chime gong church clock", tune{"bell", 5, bell}},
	{"footstep footsteps steps step walking walk running", tune{"footsteps", 4, footsteps}},
	{"coin coins pickup collect pick reward score bonus powerup achievement success unlock", tune{"pick-up", 3, pickUp}},
	{"alarm siren alert warning klaxon emergency", tune{"alarm", 4, alarm}},
	{"drone ambient ambience ambiance atmosphere atmospheric pad hum cave dungeon space background", tune{"ambient", 8, ambient}},
	{"music melody song tune theme soundtrack jingle lullaby piano flute harp orchestra", tune{"melody", 8, melody}},
	{"heartbeat heart pulse", tune{"heartbeat", 4, heartbeat}},
	{"engine motor car truck machine spaceship ship vehicle", tune{"engine", 5, engine}},
	{"bird birds birdsong chirp chirping forest nature cricket", tune{"birds", 6, birds}},
	{"magic spell enchant sparkle teleport heal portal fairy", tune{"magic", 3, magic}},
	{"drum drums beat percussion rhythm techno dance", tune{"drums", 8, drums}},
	{"click button ui interface menu notification blip beep hover tap", tune{"click", 3, click}},
	{"jump hop bounce boing spring", tune{"jump", 3, jump}},
	{"sword swing whoosh swoosh slash hit punch impact", tune{"swing", 3, swing}},
	{"monster growl roar dragon beast zombie creature", tune{"growl", 3, growl}},
})

func rain(w *wish, r *random, t *tape) {
	var low, high lowpass
	heavy := 0.5
	if w.has("heavy", "storm", "downpour", "thunderstorm") {
		heavy = 1
	}
	for i := range t.places() {
		x := hiss(r)
		soft := low.pass(x, 900, t.rate)
		sharp := x - high.pass(x, 3500, t.rate)
		slow := 1 + float64(0.2*sine(float64(t.seconds(i)*0.23)))
		t.samples[i] = float64((float64(soft*0.9*heavy) + float64(sharp*0.16)) * slow)
	}
	for range int(t.length() * (60 + float64(90*heavy))) { // drops near by
		f, at, loud := r.between(1200, 5200), r.between(0, t.length()), r.between(0.02, 0.16)
		t.play(at, 0.03, func(s float64) float64 { return float64(sine(float64(s*f*(1+s*4))) * decay(s, 0.025) * loud) })
	}
}

func wind(_ *wish, r *random, t *tape) {
	var body band
	var whistle band
	var smoothed lowpass
	phase := r.unit()
	for i := range t.places() {
		s := t.seconds(i)
		gust := 0.5 + float64(0.3*sine(float64(s*0.17)+phase)) + float64(0.2*sine(float64(s*0.41)+float64(phase*3)))
		gust = smoothed.pass(gust, 3, t.rate)
		x := hiss(r)
		t.samples[i] = body.pass(x, 220+float64(520*gust), 0.55, t.rate)*gust*0.5 + float64(whistle.pass(x, 700+float64(900*gust), 0.06, t.rate)*gust*gust*0.06)
	}
}

func waves(_ *wish, r *random, t *tape) {
	var low lowpass
	var foam lowpass
	phase := r.unit()
	for i := range t.places() {
		s := t.seconds(i)
		swell := 0.5 - 0.5*sine(float64(s*0.16)+phase)
		other := 0.5 - 0.5*sine(float64(s*0.11)+phase*2)
		x := hiss(r)
		rumble := low.pass(x, 260+float64(700*swell), t.rate)
		spray := x - foam.pass(x, 2600, t.rate)
		t.samples[i] = float64(rumble*(0.4+float64(1.4*swell*swell))) + float64(spray*0.22*swell*swell*swell) + float64(rumble*0.4*other)
	}
}

func crackle(_ *wish, r *random, t *tape) {
	var low lowpass
	for i := range t.places() {
		t.samples[i] = float64(low.pass(hiss(r), 180, t.rate) * (0.8 + float64(0.3*sine(float64(t.seconds(i)*0.7)))))
	}
	for range int(t.length() * 26) {
		at, loud, long := r.between(0, t.length()), r.between(0.05, 0.5), r.between(0.004, 0.03)
		loud = float64(loud * (loud * 2))
		noise := r.fork("crack")
		r.next()
		var f band
		center := r.between(1200, 5000)
		t.play(at, long, func(s float64) float64 {
			return float64(f.pass(hiss(noise), center, 0.5, t.rate) * decay(s, long) * loud)
		})
	}
}

func thunder(w *wish, r *random, t *tape) {
	rain(w, r.fork("rain"), t)
	for i := range t.places() {
		t.samples[i] = float64(t.samples[i] * (0.25))
	}
	for k := range 2 + r.below(2) {
		at := r.between(0.1, 0.5) + float64(float64(k)*r.between(1.2, 2.2))
		var low, lower lowpass
		long := r.between(2, 3.5)
		t.play(at, long, func(s float64) float64 {
			roll := 0.6 + float64(0.4*sine(float64(s*2.3)+float64(k))*sine(float64(s*5.1)))
			x := hiss(r)
			crack := float64(low.pass(x, 2600, t.rate) * decay(s, 0.35))
			return float64((float64(lower.pass(x, 110, t.rate)*6*roll*decay(s, long)) + crack) * min(1, float64(s*60)))
		})
	}
}

func explosion(_ *wish, r *random, t *tape) {
	var low, body lowpass
	depth, long := r.between(38, 60), min(t.length(), r.between(1.6, 2.6))
	t.play(0.02, t.length(), func(s float64) float64 {
		x := hiss(r)
		crack := float64(x * decay(s, 0.09) * 0.9)
		rumble := float64(low.pass(x, 120+float64(2400*decay(s, 0.5)), t.rate) * decay(s, long) * 2.2)
		deep := float64(sine(float64(depth*(s+0.25*(1-decay(s, 0.4))))) * decay(s, float64(long*0.7)) * 0.9)
		debris := 0.0
		if r.chance(0.0012) {
			debris = float64(r.between(-0.5, 0.5) * decay(s, long))
		}
		return crack + rumble + deep + body.pass(debris, 2000, t.rate)*2
	})
	for i := range t.places() {
		x := t.samples[i]
		t.samples[i] = x / (1 + abs(x)) // as a loud thing saturates the ear
	}
	t.echo(0.35, 1.6)
}

func laser(_ *wish, r *random, t *tape) {
	shots := 1 + r.below(3)
	if t.length() < 1 {
		shots = 1
	}
	high, low, long := r.between(1800, 3200), r.between(120, 400), r.between(0.18, 0.4)
	for k := range shots {
		phase := 0.0
		t.play(0.02+float64(float64(k)*0.42), float64(long*1.6), func(s float64) float64 {
			f := low + float64((high-low)*decay(s, float64(long*1.2)))
			phase += f / t.rate
			return float64((float64(saw(phase, 4)*0.6) + sine(phase*0.5)*0.5) * decay(s, float64(long*1.4)) * min(1, float64(s*400)))
		})
	}
	t.echo(0.3, 1.2)
}

func bell(w *wish, r *random, t *tape) {
	base := pitch(pick(r, 0, 2, 3, 5, 7, 10))
	if w.has("church", "big", "large", "gong", "deep") {
		base /= 2
	}
	strokes := max(1, int(t.length()/1.6))
	for k := range strokes {
		for i, ratio := range []float64{0.5, 1, 1.19, 1.5, 2, 2.51, 3.01, 4.17, 5.43} {
			f, loud, long := float64(base*ratio*r.around(1, 0.002)), 1/(1+float64(float64(i)*0.7)), 4.5/(1+float64(float64(i)*0.55))
			t.play(0.02+float64(float64(k)*1.6), t.length(), func(s float64) float64 {
				return float64(sine(float64(f*s)) * decay(s, long) * loud * min(1, float64(s*900)))
			})
		}
	}
	t.echo(0.3, 1.5)
}

func footsteps(w *wish, r *random, t *tape) {
	pace := 0.55
	if w.has("running", "run", "fast") {
		pace = 0.3
	}
	bright, grit := 900.0, 0.25
	switch {
	case w.has("gravel", "snow", "leaves", "forest", "sand", "grass"):
		bright, grit = 2600, 0.9
	case w.has("metal", "steel"):
		bright, grit = 3800, 0.1
	case w.has("wood", "wooden"):
		bright, grit = 500, 0.1
	}
	for k := 0; float64(k)*pace < t.length()-0.2; k++ {
		at := float64(float64(k)*pace) + r.between(0, 0.03)
		f, loud := r.around(78, 0.15), r.between(0.8, 1)
		var body, edge lowpass
		t.play(at+0.02, 0.3, func(s float64) float64 {
			x := hiss(r)
			heel := float64(sine(float64(f*s*(1+decay(s, 0.05)))) * decay(s, 0.12))
			scuff := float64(body.pass(x, bright, t.rate) * decay(s, 0.09))
			crunch := 0.0
			if r.chance(0.25) {
				crunch = float64(edge.pass(x, 4200, t.rate) * decay(abs(s-0.08), 0.12) * grit)
			}
			return float64((heel + float64(scuff*0.7) + crunch) * loud)
		})
	}
	t.echo(0.12, 0.6)
}

func pickUp(_ *wish, r *random, t *tape) {
	root := 12 + r.below(8)
	steps := pick(r, []int{0, 5}, []int{0, 4, 7, 12}, []int{0, 7, 12}, []int{0, 3, 7, 10})
	for k, step := range steps {
		f := pitch(root + 12 + step)
		t.play(0.02+float64(float64(k)*0.075), 1.4, func(s float64) float64 {
			return float64((sine(float64(f*s)) + float64(0.35*sine(float64(2*f*s))) + float64(0.12*triangle(float64(3*f*s)))) * decay(s, 0.9) * min(1, float64(s*500)))
		})
	}
	t.echo(0.3, 1)
}

func alarm(_ *wish, r *random, t *tape) {
	low, high, speed := r.between(420, 620), r.between(800, 1150), r.between(0.8, 1.8)
	steps := r.chance(0.5)
	phase := 0.0
	for i := range t.places() {
		s := t.seconds(i)
		k := 0.5 + 0.5*sine(float64(s*speed))
		if steps {
			k = float64(int(s*speed*2) % 2)
		}
		phase += mix(low, high, k) / t.rate
		t.samples[i] = float64(saw(phase, 7)*0.7) + float64(sine(phase)*0.4)
	}
	t.echo(0.2, 1)
}

// scales are the half tones that moods use.
var scales = map[string][]int{
	"major": {0, 2, 4, 7, 9}, "minor": {0, 3, 5, 7, 10}, "dorian": {0, 2, 3, 5, 7, 9, 10}, "phrygian": {0, 1, 4, 5, 7, 8, 10}, "dream": {0, 2, 4, 6, 7, 9, 11},
}

// scale is the one for the mood that the words tell.
func (w *wish) scale() []int {
	switch {
	case w.has("sad", "dark", "melancholy", "horror", "scary", "gloomy", "spooky", "tense", "night", "dungeon", "battle"):
		return scales["minor"]
	case w.has("mysterious", "mystery", "desert", "egypt", "ancient", "exotic", "evil"):
		return scales["phrygian"]
	case w.has("dream", "dreamy", "magic", "magical", "fairy", "space", "underwater"):
		return scales["dream"]
	case w.has("medieval", "fantasy", "celtic", "tavern", "adventure", "epic"):
		return scales["dorian"]
	case w.has("happy", "joyful", "cheerful", "bright", "upbeat", "fun", "cute", "calm", "peaceful"):
		return scales["major"]
	}
	return pick(w.random.fork("scale"), scales["major"], scales["minor"], scales["dorian"], scales["dream"])
}

func ambient(w *wish, r *random, t *tape) {
	scale, root := w.scale(), r.below(8)-12
	for i, step := range []int{0, scale[min(2, len(scale)-1)], scale[len(scale)-1], 12, 12 + scale[1], 7} {
		f, drift, loud := pitch(root+step), r.between(0.03, 0.12), 0.9/(1+float64(float64(i)*0.6))
		phase, detune := r.unit(), r.between(0.15, 0.6)
		t.play(0, t.length()+1, func(s float64) float64 {
			swell := 0.55 + float64(0.45*sine(float64(s*drift)+phase))
			return float64((sine(float64(f*s)+phase) + sine(float64((f+detune)*s)) + float64(0.3*sine(float64(2*f*s)+float64(0.2*sine(float64(s*0.3)))))) * swell * loud)
		})
	}
	var air lowpass
	for i := range t.places() {
		t.samples[i] += float64(air.pass(hiss(r), 500, t.rate) * (0.35 + 0.25*sine(float64(t.seconds(i)*0.09))))
	}
	t.echo(0.5, 2)
}

func melody(w *wish, r *random, t *tape) {
	scale, root := w.scale(), r.below(7)
	beat := pick(r, 0.25, 0.3, 0.36)
	switch {
	case w.has("fast", "upbeat", "battle", "energetic", "action"):
		beat = 0.2
	case w.has("slow", "calm", "sad", "peaceful", "lullaby", "relaxing"):
		beat = 0.45
	}
	tone := func(degree int) int {
		return root + scale[wrap(degree, len(scale))] + 12*((degree+8*len(scale))/len(scale)-8)
	}
	phrase := make([]int, 8) // a phrase, its answer, and again with another end
	place := r.below(3)
	for i := range phrase {
		place = max(-2, min(8, place+pick(r, -2, -1, -1, 0, 1, 1, 2, 3)))
		phrase[i] = place
	}
	rests := r.next()
	for k := 0; float64(k)*beat < t.length(); k++ {
		at := float64(float64(k) * beat)
		degree := phrase[k%8]
		if k/8%2 == 1 {
			degree = phrase[(k+3)%8] + k/16%2
		}
		if rests>>(k%16)&3 != 0 || k%8 == 0 {
			pluck(t, at+0.01, pitch(tone(degree)+12), float64(beat*3.2), 0.55)
		}
		if k%4 == 0 {
			chord := pick(r, 0, 3, 4, 0)
			for _, d := range []int{chord, chord + 2, chord + 4} {
				pad(t, at, pitch(tone(d)), float64(beat*4.3), 0.14)
			}
			pluck(t, at+0.01, pitch(tone(chord)-12), beat*4, 0.5)
		}
	}
	t.echo(0.3, 1.3)
}

func pluck(t *tape, at, f, long, loud float64) {
	t.play(at, long, func(s float64) float64 {
		body := sine(float64(f*s)) + float64(0.45*sine(float64(2*f*s))*decay(s, long*0.5)) + float64(0.22*sine(float64(3*f*s))*decay(s, float64(long*0.3))) + float64(0.1*sine(float64(5.02*f*s))*decay(s, 0.15))
		return float64(body * decay(s, long) * min(1, float64(s*300)) * loud)
	})
}

func pad(t *tape, at, f, long, loud float64) {
	t.play(at, long, func(s float64) float64 {
		edge := float64(min(1, float64(s*5)) * min(1, (long-s)*4))
		return float64((sine(float64(f*s)) + sine(float64(f*1.004*s)) + float64(0.3*triangle(float64(f*s)))) * edge * loud)
	})
}

func heartbeat(w *wish, _ *random, t *tape) {
	pace := 0.95
	if w.has("fast", "racing", "fear", "scared") {
		pace = 0.55
	}
	thump := func(at, loud float64) {
		t.play(at, 0.3, func(s float64) float64 {
			return float64(sine(float64(52*s*(1+float64(0.8*decay(s, 0.08))))) * decay(s, 0.26) * loud * min(1, float64(s*200)))
		})
	}
	for k := 0; float64(k)*pace < t.length(); k++ {
		thump(float64(float64(k)*pace)+0.03, 1)
		thump(float64(float64(k)*pace)+0.03+min(0.28, float64(pace*0.35)), 0.7)
	}
}

func engine(w *wish, r *random, t *tape) {
	base := r.between(32, 60)
	if w.look == scifiLook || w.has("spaceship", "electric") {
		base = float64(base * (2.4))
	}
	var noise lowpass
	phase := 0.0
	for i := range t.places() {
		s := t.seconds(i)
		phase += base * (1 + float64(0.08*sine(float64(s*0.21))) + float64(0.015*sine(float64(s*3.1)))) / t.rate
		fire := saw(phase, 8) + float64(0.6*saw(phase*0.5, 5))
		t.samples[i] = float64(fire*(0.8+float64(0.2*sine(phase*0.25)))) + float64(noise.pass(hiss(r), 420, t.rate)*1.6)
	}
}

func birds(_ *wish, r *random, t *tape) {
	var leaves lowpass
	for i := range t.places() {
		t.samples[i] = float64(leaves.pass(hiss(r), 700, t.rate) * (0.14 + float64(0.08*sine(float64(t.seconds(i)*0.2)))))
	}
	for range 3 + r.below(3) { // as many birds, each with its own call
		base, sweep, notes, gap := r.between(2000, 4200), r.between(-0.4, 0.5), 2+r.below(5), r.between(0.09, 0.2)
		trill := r.between(0, 26)
		for at := r.between(0.1, 1.5); at < t.length(); at += r.between(1.3, 3) {
			loud := r.between(0.2, 0.7)
			for k := range notes {
				f, phase := float64(base*r.around(1, 0.08)), 0.0
				t.play(at+float64(float64(k)*gap), float64(gap*0.8), func(s float64) float64 {
					x := s / (gap * 0.8)
					phase += f * (1 + float64(sweep*x) + float64(0.04*sine(float64(s*trill)))) / t.rate
					return float64(sine(phase) * sine(x*0.5) * loud)
				})
			}
		}
	}
	t.echo(0.3, 1.6)
}

func magic(w *wish, r *random, t *tape) {
	scale, root := w.scale(), 12+r.below(6)
	n := 18 + r.below(10)
	rising := r.chance(0.7)
	for k := range n {
		degree := k
		if !rising {
			degree = n - k
		}
		f := pitch(root + scale[degree%len(scale)] + 12*(degree/len(scale)%3))
		at := 0.03 + float64(float64(k)*0.055*r.around(1, 0.2))
		t.play(at, 1.2, func(s float64) float64 {
			return float64((sine(float64(f*s)) + float64(0.4*sine(float64(2.01*f*s))) + float64(0.2*sine(float64(4.03*f*s)))) * decay(s, 0.8) * min(1, float64(s*300)) * 0.4)
		})
	}
	var air band
	long := min(2.2, t.length())
	t.play(0, long, func(s float64) float64 {
		k := s / long
		return float64(air.pass(hiss(r), 1500+float64(4500*k), 0.4, t.rate) * sine(k*0.5) * 0.12)
	})
	t.echo(0.55, 1.8)
}

func drums(w *wish, r *random, t *tape) {
	beat := 0.25
	if w.has("fast", "techno", "energetic") {
		beat = 0.21
	}
	kick := pick(r, []int{0, 4, 8, 12}, []int{0, 3, 8, 11}, []int{0, 6, 8, 14}, []int{0, 2, 8, 10})
	for k := 0; float64(k)*beat/2 < t.length(); k++ {
		at, step := float64(k)*beat/2, k%16
		for _, on := range kick {
			if step == on {
				t.play(at, 0.4, func(s float64) float64 {
					return float64(sine(float64(48*s)+float64(1.6*(1-decay(s, 0.12)))) * decay(s, 0.35) * 1.3)
				})
			}
		}
		if step == 4 || step == 12 {
			var f band
			t.play(at, 0.25, func(s float64) float64 {
				return float64((float64(f.pass(hiss(r), 1900, 0.8, t.rate)*0.8) + float64(sine(float64(190*s))*0.5*decay(s, 0.1))) * decay(s, 0.2))
			})
		}
		if step%2 == 0 || r.chance(0.25) {
			var low lowpass
			loud := 0.25 + float64(0.15*float64(step%4/2))
			t.play(at, 0.08, func(s float64) float64 {
				x := hiss(r)
				return float64((x - low.pass(x, 7000, t.rate)) * decay(s, 0.06) * loud)
			})
		}
	}
	t.echo(0.12, 0.7)
}

func click(_ *wish, r *random, t *tape) {
	f, double := r.between(600, 1600), r.chance(0.5)
	blip := func(at, f float64) {
		t.play(at, 0.25, func(s float64) float64 {
			return float64((sine(float64(f*s)) + float64(0.3*sine(float64(2.7*f*s))*decay(s, 0.03))) * decay(s, 0.14) * min(1, float64(s*900)))
		})
	}
	blip(0.02, f)
	if double {
		blip(0.11, float64(f*pick(r, 1.5, 1.335, 0.75)))
	}
	t.echo(0.15, 0.5)
}

func jump(_ *wish, r *random, t *tape) {
	low, high, long := r.between(180, 320), r.between(500, 1000), r.between(0.25, 0.45)
	phase := 0.0
	t.play(0.02, long, func(s float64) float64 {
		x := s / long
		phase += mix(low, high, float64(x*x)) / t.rate
		return float64((triangle(phase) + float64(0.4*sine(phase*2))) * (1 - x) * min(1, float64(s*300)))
	})
	t.echo(0.2, 0.8)
}

func swing(w *wish, r *random, t *tape) {
	var f band
	long := r.between(0.3, 0.5)
	t.play(0.03, long, func(s float64) float64 {
		x := s / long
		return float64(f.pass(hiss(r), 400+float64(2600*sine(x*0.5)), 0.35, t.rate) * sine(x*0.5) * sine(x*0.5))
	})
	if w.has("hit", "punch", "impact", "sword", "slash") {
		for _, ratio := range []float64{1, 2.76, 5.4, 8.9} {
			base := float64(r.between(600, 900) * ratio)
			t.play(0.03+float64(long*0.75), 1.6, func(s float64) float64 {
				return float64(sine(float64(base*s)) * decay(s, 1.6/ratio) * 0.3 * min(1, float64(s*900)))
			})
		}
	}
	t.echo(0.25, 0.9)
}

func growl(_ *wish, r *random, t *tape) {
	base, long := r.between(48, 75), min(t.length(), r.between(1.6, 2.4))
	var throat, chest band
	phase := 0.0
	t.play(0.03, long, func(s float64) float64 {
		x := s / long
		f := float64(base * (1 + 0.5*sine(x*0.5) + float64(0.12*sine(float64(s*23))) + float64(0.1*hiss(r))))
		phase += f / t.rate
		raw := saw(phase, 14) + 0.5*hiss(r)
		open := sine(x * 0.5)
		return float64((throat.pass(raw, 350+float64(700*open), 0.25, t.rate) + chest.pass(raw, 160, 0.4, t.rate)) * open)
	})
	for i := range t.places() {
		x := t.samples[i]
		t.samples[i] = x / (1 + abs(x))
	}
	t.echo(0.4, 1.5)
}
