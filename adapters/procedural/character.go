package procedural

import (
	"context"

	"gaia/domain"
)

// calling is what a figure is, as far as one sees it.
type calling struct {
	name    string
	garment garment
	head    headgear
	held    func(s *sculptor) // in the right hand; nil: nothing
	shield  bool
	skin    uint32 // 0: that of people
	cloth   uint32
	second  uint32
	build   float64 // above 1: broad
	small   float64 // how large against a grown person; 0: as large
	cape    bool
	metal   bool
	wings   bool
	ears    bool
	glow    bool // its eyes
}

type garment string

const (
	tunic  garment = "tunic"
	robe   garment = "robe"
	armour garment = "armour"
	suit   garment = "suit"
	bare   garment = "bare"
)

type headgear string

const (
	hair      headgear = "hair"
	wizardHat headgear = "pointed hat"
	hood      headgear = "hood"
	fullHelm  headgear = "helmet"
	crownHat  headgear = "crown"
	brimHat   headgear = "hat"
	bubble    headgear = "bubble"
	antenna   headgear = "antenna"
	horns     headgear = "horns"
	bald      headgear = "none"
)

// callings by the words that mean them.
var callings = named([]entry[calling]{
	{"knight paladin crusader guard soldier warrior gladiator templar", calling{name: "knight", garment: armour, head: fullHelm, held: sword, shield: true, cloth: 0x9ba3ad, second: 0x8c2430, build: 1.1, cape: true, metal: true}},
	{"viking barbarian berserker", calling{name: "viking", garment: tunic, head: horns, held: axe, shield: true, cloth: 0x6e4b2c, second: 0x9c8f7c, build: 1.25}},
	{"wizard mage sorcerer sorceress witch warlock magician druid shaman merlin", calling{name: "wizard", garment: robe, head: wizardHat, held: staff, cloth: 0x3a3f8f, second: 0xc9a94b, build: 0.95}},
	{"rogue thief assassin ninja ranger hunter archer bandit", calling{name: "rogue", garment: tunic, head: hood, held: sword, cloth: 0x35403a, second: 0x5a4632, build: 0.92, cape: true}},
	{"monk priest cleric cultist necromancer", calling{name: "priest", garment: robe, head: hood, held: staff, cloth: 0x6b4a2f, second: 0xd8c9a0}},
	{"king emperor queen princess prince royal", calling{name: "king", garment: robe, head: crownHat, held: staff, cloth: 0x8c1f3a, second: 0xe0c060, cape: true, build: 1.05}},
	{"robot android cyborg mech automaton droid golem", calling{name: "robot", garment: suit, head: antenna, skin: 0xaab2bb, cloth: 0xc7ccd2, second: 0x4b5560, build: 1.2, metal: true, glow: true}},
	{"astronaut cosmonaut spaceman pilot", calling{name: "astronaut", garment: suit, head: bubble, cloth: 0xe8eaed, second: 0xd2762c, build: 1.15}},
	{"zombie undead ghoul skeleton ghost mummy", calling{name: "undead", garment: bare, head: bald, skin: 0x8fa37a, cloth: 0x5b5348, second: 0x3c3a33, build: 0.85, glow: true}},
	{"orc goblin troll ogre demon devil monster beast", calling{name: "orc", garment: bare, head: horns, held: axe, skin: 0x5d8a3c, cloth: 0x5c4028, second: 0x2f2a26, build: 1.4, ears: true}},
	{"elf fairy angel valkyrie", calling{name: "elf", garment: tunic, head: hair, held: bow, cloth: 0x4b7d43, second: 0xcdb36b, build: 0.85, ears: true, cape: true}},
	{"dwarf gnome hobbit", calling{name: "dwarf", garment: tunic, head: fullHelm, held: hammer, cloth: 0x7a3b28, second: 0xb58a3c, build: 1.5, small: 0.68}},
	{"pirate captain sailor cowboy sheriff detective", calling{name: "captain", garment: tunic, head: brimHat, held: sword, cloth: 0x40233a, second: 0xc8a045}},
	{"villager farmer peasant merchant man woman person human hero adventurer boy girl child civilian player npc", calling{name: "villager", garment: tunic, head: hair, cloth: 0x4f7397, second: 0x6e5437}},
})

// calling is what the words make of a figure.
func (w *wish) calling() calling {
	kind, _, ok := subject(w.words, callings)
	if !ok {
		kind, _, ok = subject(w.all, callings)
	}
	if !ok {
		kind = calling{name: "adventurer", garment: tunic, head: hair, cloth: 0x4f7397, second: 0x6e5437}
	}
	switch {
	case w.has("boy", "girl", "child", "kid", "fairy", "goblin"):
		kind.small = 0.7
	}
	if w.has("angel", "fairy", "demon", "valkyrie", "winged") {
		kind.wings = true
	}
	if w.has("armor", "armour", "armored", "armoured", "plate") {
		kind.garment, kind.metal = armour, true
	}
	if w.has("cape", "cloak", "caped", "superhero") {
		kind.cape = true
	}
	if thing, _, ok := subject(w.carried(), archetypes); ok {
		kind.held = thing.build
	}
	return kind
}

// carried are the words behind the first that says that something is held.
func (w *wish) carried() []string {
	for i, word := range w.words {
		if word == "with" || word == "holding" || word == "carrying" || word == "wielding" {
			return w.words[i+1:]
		}
	}
	return nil
}

// character makes a figure.
func (w *wish) character(ctx context.Context, o domain.GenerationOrder, l limits) ([]domain.GeneratedFile, error) {
	kind := w.calling()
	m, err := l.fit(ctx, func(level int) *sculptor {
		s := w.sculptFigure(kind, level)
		return s
	})
	if err != nil {
		return nil, err
	}
	return w.modelFiles(ctx, m, l.format, o.Seed, kind.name)
}

// figure is a body while it is made.
type figure struct {
	*sculptor
	calling
	skinTone, clothTone, secondTone, trimTone material
	broad                                     float64
}

// sculptFigure makes a figure out of limbs that are bones: hips, torso, head, arms and legs.
func (w *wish) sculptFigure(kind calling, level int) *sculptor {
	s := newSculptor(w, level)
	s.bones[0].name = kind.name
	f := &figure{sculptor: s, calling: kind, broad: max(kind.build, 0.8)}
	f.dress()
	size := w.size
	if kind.small > 0 {
		size = float64(size * (kind.small))
	}
	slender := w.random.fork("figure").around(w.slender, 0.05)
	s.within(still().stretch(size/slender, size*min(slender, 1.25), size/slender), f.stand)
	return s
}

// dress chooses what everything is made of.
func (f *figure) dress() {
	w := f.wish
	skins := []uint32{0xf0c8a4, 0xd9a67c, 0xa8734a, 0x7a4c30, 0xe6b794}
	skin := dull("skin", pick(w.random.fork("skin"), skins...), 0.6)
	if f.skin != 0 {
		skin = dull("skin", f.skin, 0.7)
	}
	if f.name == "robot" {
		skin = w.tone(mainRole, metal("shell", f.skin, 0.35))
	}
	cloth := dull("cloth", f.cloth, 0.85)
	second := dull("second cloth", f.second, 0.85)
	if f.metal {
		cloth = metal("armour", f.cloth, 0.3)
	}
	f.skinTone = w.finished(secondRole, skin)
	f.clothTone = w.tone(mainRole, cloth)
	f.secondTone = w.tone(secondRole, second)
	f.trimTone = w.finished(trimRole, materials["gold"].named("trim"))
	if len(w.materials) > 0 {
		f.trimTone = w.finished(trimRole, w.materials[0])
	}
}

// stand is the whole figure, upright, its arms a little away from the body.
func (f *figure) stand() {
	b := f.broad
	f.joint("hips", at(0, 0.92, 0), func() {
		f.use(f.secondTone)
		f.within(still().stretch(b, 1, 0.72), func() {
			f.turned(f.segments(14), [2]float64{0.1, -0.12}, [2]float64{0.165, -0.06}, [2]float64{0.165, 0.06}, [2]float64{0.15, 0.1})
		})
		f.belt()
		f.skirts()
		f.joint("torso", at(0, 0.08, 0), f.torso)
		for _, side := range []float64{-1, 1} {
			f.joint(sided("leg", side), at(side*0.095*b, -0.06, 0), func() { f.leg(side) })
		}
	})
}

func sided(name string, side float64) string {
	if side > 0 {
		return "left " + name // of the figure, which looks at us
	}
	return "right " + name
}

func (f *figure) belt() {
	f.use(dull("belt", 0x3a281a, 0.6))
	f.within(at(0, 0.08, 0).stretch(f.broad, 1, 0.74), func() {
		f.turned(f.segments(14), [2]float64{0.158, -0.03}, [2]float64{0.17, -0.03}, [2]float64{0.17, 0.03}, [2]float64{0.158, 0.03})
	})
	f.use(f.trimTone)
	f.within(at(0, 0.08, 0.128), func() { f.box(0.06, 0.055, 0.02) })
}

// skirts are what hangs down from the belt.
func (f *figure) skirts() {
	n := f.segments(16)
	hem := func(length, wide float64) {
		f.within(at(0, 0.06, 0).stretch(f.broad, 1, 0.8), func() {
			f.turned(n, [2]float64{wide, -length}, [2]float64{wide * 0.86, -length * 0.55}, [2]float64{0.17, -0.05}, [2]float64{0.15, 0.02})
		})
	}
	switch f.garment {
	case robe:
		f.use(f.clothTone)
		hem(0.92, 0.34)
		f.use(f.trimTone)
		f.within(at(0, -0.84, 0).stretch(f.broad, 1, 0.8), func() { f.hoop(0.335, 0.018) })
		f.use(f.secondTone)
		f.within(at(0, -0.35, 0.2).turnX(-0.17), func() { f.box(0.12, 0.85, 0.02) })
	case tunic:
		f.use(f.clothTone)
		hem(0.24, 0.22)
	case bare:
		f.use(f.clothTone)
		hem(0.27, 0.2)
	case armour:
		f.use(f.clothTone.shaded(0.85).named("tassets"))
		hem(0.18, 0.225)
		f.use(f.secondTone)
		f.within(at(0, -0.12, 0.15), func() { f.box(0.16, 0.4, 0.02) })
	}
}

// limb is a rounded length downwards from the origin.
func (f *figure) limb(length, above, below float64) {
	f.turned(f.segments(10), [2]float64{0, -length - float64(below*0.6)}, [2]float64{below * 0.8, -length - float64(below*0.3)}, [2]float64{below, -length + float64(below*0.2)},
		[2]float64{above, -above * 0.2}, [2]float64{above * 0.8, above * 0.4}, [2]float64{0, above * 0.75})
}

func (f *figure) leg(side float64) {
	thick := float64(0.085 * (0.6 + float64(0.4*f.broad)))
	f.use(f.legTone())
	f.limb(0.38, thick, thick*0.75)
	f.joint(sided("shin", side), at(0, -0.4, 0), func() {
		f.use(f.legTone())
		f.limb(0.34, thick*0.78, thick*0.6)
		if f.garment == armour || f.name == "robot" {
			f.use(f.clothTone)
			f.within(at(0, 0, thick*0.5).stretch(1, 1.2, 0.8), func() { f.ball(f.segments(10), thick*0.75) })
			f.within(at(0, -0.05, 0.01), func() { f.limb(0.24, thick*0.9, thick*0.75) })
		}
		f.use(dull("boots", 0x3b2a1e, 0.7))
		if f.metal || f.garment == suit {
			f.use(f.clothTone.shaded(0.8).named("boots"))
		}
		if f.garment == bare && f.name != "robot" {
			f.use(f.skinTone)
		}
		f.turned(f.segments(10), [2]float64{thick * 0.8, -0.44}, [2]float64{thick * 0.85, -0.36}, [2]float64{thick * 0.95, -0.2}, [2]float64{thick * 0.85, -0.19})
		f.within(at(0, -0.42, 0.05).stretch(thick*1.05, 0.055, 0.15), func() { f.ball(f.segments(12), 1) })
	})
}

func (f *figure) legTone() material {
	switch f.garment {
	case bare:
		return f.skinTone
	case suit, armour:
		return f.clothTone.shaded(0.7).named("legs")
	}
	return f.secondTone.shaded(0.7).named("trousers")
}

func (f *figure) torso() {
	b := f.broad
	f.use(f.clothTone)
	if f.garment == bare {
		f.use(f.skinTone)
	}
	f.within(still().stretch(b, 1, 0.66), func() {
		f.turned(f.segments(16), [2]float64{0.15, -0.02}, [2]float64{0.155, 0.1}, [2]float64{0.2, 0.27}, [2]float64{0.205, 0.38}, [2]float64{0.15, 0.46}, [2]float64{0.065, 0.5})
	})
	f.chestPiece()
	f.within(at(0, 0.49, 0), func() {
		f.use(f.skinTone)
		f.turned(f.segments(10), [2]float64{0.06, -0.04}, [2]float64{0.055, 0.07})
	})
	f.joint("head", at(0, 0.53, 0), f.headpiece)
	for _, side := range []float64{-1, 1} {
		f.joint(sided("arm", side), at(side*(float64(0.19*b)+0.03), 0.4, 0).turnZ(side*0.16), func() { f.arm(side) })
	}
	if f.cape {
		f.capePiece()
	}
	if f.wings {
		f.wingPair()
	}
	if f.garment == suit && f.name != "robot" || f.has("backpack", "jetpack") {
		f.use(f.secondTone)
		f.within(at(0, 0.25, -0.2), func() { f.box(0.26, 0.38, 0.14) })
	}
}

func (f *figure) has(words ...string) bool { return f.wish.has(words...) }

// chestPiece is what makes the breast of each garment.
func (f *figure) chestPiece() {
	b := f.broad
	switch f.garment {
	case armour:
		f.use(f.clothTone.shaded(1.08).named("breastplate"))
		f.within(at(0, 0.28, 0.05).stretch(0.19*b, 0.19, 0.13), func() { f.ball(f.segments(16), 1) })
		f.use(f.trimTone)
		f.within(at(0, 0.3, 0.175), func() { f.emblemSmall() })
	case robe:
		f.use(f.trimTone)
		f.within(at(0, 0.42, 0.01).stretch(b, 1, 0.75), func() { f.hoop(0.165, 0.02) })
	case suit:
		f.use(f.secondTone)
		f.within(at(0, 0.28, 0.13), func() { f.box(0.2, 0.14, 0.05) })
		for i := range 3 {
			f.use(material{name: "lamp", colour: wheel(float64(float64(i)*0.3), 0.8, 1), roughness: 0.4, alpha: 1, glow: wheel(float64(float64(i)*0.3), 0.8, 0.8)})
			f.within(at((float64(i)-1)*0.055, 0.29, 0.155), func() { f.ball(f.segments(8), 0.016) })
		}
	case tunic:
		f.use(f.secondTone.shaded(0.8).named("strap"))
		f.within(at(0, 0.22, 0).turnZ(0.62).stretch(b, 1, 0.72), func() {
			f.turned(f.segments(14), [2]float64{0.19, -0.025}, [2]float64{0.212, -0.025}, [2]float64{0.212, 0.025}, [2]float64{0.19, 0.025})
		})
	}
	f.within(at(0, 0.3, 0.15), func() { f.mark(0.12, 0.14) })
}

func (f *figure) emblemSmall() {
	f.within(still().stretch(0.35, 0.35, 0.5), func() { f.plate(star(4, 0.2, 0.07), 0.06, 0.2) })
}

func (f *figure) arm(side float64) {
	thick := float64(0.062 * (0.5 + 0.5*f.broad))
	sleeve := f.clothTone
	if f.garment == bare {
		sleeve = f.skinTone
	}
	f.use(sleeve)
	f.limb(0.25, thick*1.1, thick*0.85)
	if f.garment == armour || f.name == "robot" {
		f.use(f.clothTone.shaded(1.1).named("pauldron"))
		f.within(at(side*0.02, 0.02, 0).stretch(1.25, 0.95, 1.15), func() { f.dome(f.segments(14), 0.1, -0.4) })
		f.use(f.trimTone)
		f.within(at(side*0.02, -0.015, 0).stretch(1.25, 1, 1.15), func() { f.hoop(0.094, 0.01) })
	}
	f.joint(sided("forearm", side), at(0, -0.27, 0), func() {
		f.use(sleeve.shaded(0.95).named("sleeve"))
		if f.garment == tunic {
			f.use(f.skinTone)
		}
		f.limb(0.22, thick*0.88, thick*0.68)
		if f.garment == robe {
			f.use(f.clothTone)
			f.turned(f.segments(12), [2]float64{thick * 1.7, -0.22}, [2]float64{thick, 0.02})
		} else {
			f.use(f.secondTone.shaded(0.8).named("bracers"))
			f.turned(f.segments(10), [2]float64{thick * 0.85, -0.2}, [2]float64{thick * 0.95, -0.18}, [2]float64{thick * 1.05, -0.08}, [2]float64{thick * 0.9, -0.07})
		}
		f.joint(sided("hand", side), at(0, -0.26, 0), func() { f.hand(side) })
	})
}

func (f *figure) hand(side float64) {
	f.use(f.skinTone)
	if f.metal || f.garment == suit {
		f.use(f.secondTone.shaded(0.8).named("gloves"))
	}
	f.within(at(0, -0.02, 0).stretch(0.042, 0.055, 0.05), func() { f.ball(f.segments(10), 1) })
	switch {
	case side < 0 && f.held != nil:
		grip := 0.15
		if f.name == "wizard" || f.name == "priest" || f.name == "king" {
			grip = 0.85
		}
		f.within(at(0, -0.02, 0.03).turnZ(0.16).turnX(0.12).shift(0, -grip, 0), func() { f.held(f.sculptor) })
	case side > 0 && f.shield:
		f.within(at(0.05, 0.05, 0.06).turnY(0.35).stretch(0.62, 0.62, 0.62).shift(0, -0.45, 0), func() { shield(f.sculptor) })
	}
}

func (f *figure) capePiece() {
	f.use(f.secondTone.shaded(0.9).named("cape"))
	f.begin()
	n := f.segments(6)
	rings := make([][]vec, n+1)
	for i := range rings {
		t := float64(i) / float64(n)
		y, z, wide := 0.46-float64(1.15*t), -0.13-float64(0.22*t*t), float64((0.17+float64(0.15*t))*f.broad)
		rings[n-i] = []vec{{wide, y, z + 0.03}, {0, y, z - float64(0.05*t) - 0.02}, {-wide, y, z + 0.03}, {0, y, z - float64(0.05*t) + 0.01}}
	}
	f.loft(false, rings...)
}

func (f *figure) wingPair() {
	f.use(dull("wings", 0xf2f0ea, 0.8))
	if f.has("demon", "devil", "dark", "bat") {
		f.use(dull("wings", 0x3a1c22, 0.7))
	}
	for _, side := range []float64{-1, 1} {
		f.within(at(side*0.06, 0.32, -0.14).stretch(side, 1, 1).turnY(0.35), func() {
			f.plate([][2]float64{{0, 0}, {0.2, -0.12}, {0.36, -0.42}, {0.5, -0.3}, {0.66, -0.36}, {0.74, -0.05}, {0.78, 0.3}, {0.52, 0.42}, {0.2, 0.24}}, 0.03, 0.06)
		})
	}
}

// headpiece is the head, from the neck up.
func (f *figure) headpiece() {
	s := f.sculptor
	big := 1.0
	if f.wish.look == cartoonLook || f.small > 0 {
		big = 1.35
	}
	s.within(at(0, 0.02, 0).stretch(big, big, big), func() {
		if f.name == "robot" {
			f.robotHead()
			return
		}
		s.use(f.skinTone)
		s.within(at(0, 0.13, 0.005).stretch(0.1, 0.128, 0.108), func() { s.ball(s.segments(18), 1) })
		s.within(at(0, 0.06, 0.03).stretch(0.068, 0.065, 0.07), func() { s.ball(s.segments(12), 1) })
		f.face()
		f.hat()
	})
}

func (f *figure) face() {
	s := f.sculptor
	s.use(f.skinTone.shaded(0.93).named("nose"))
	s.within(at(0, 0.108, 0.112).stretch(0.016, 0.026, 0.022), func() { s.ball(s.segments(8), 1) })
	ears := func(x float64) {
		if f.ears {
			s.within(at(x*0.095, 0.13, 0).turnZ(-x*1.05), func() { s.cylinder(s.segments(6), 0.026, 0.002, 0.13) })
			return
		}
		s.within(at(x*0.1, 0.12, 0).stretch(0.014, 0.032, 0.022), func() { s.ball(s.segments(8), 1) })
	}
	for _, x := range []float64{-1, 1} {
		s.use(f.skinTone.shaded(0.93).named("nose"))
		ears(x)
		s.use(dull("eyes", 0xf6f4ef, 0.2))
		s.within(at(x*0.038, 0.142, 0.096).stretch(0.019, 0.017, 0.012), func() { s.ball(s.segments(10), 1) })
		pupil := dull("pupils", 0x2a2430, 0.2)
		if f.glow || f.wish.glowing {
			pupil = f.wish.beam()
		}
		s.use(pupil)
		s.within(at(x*0.038, 0.142, 0.106).stretch(0.009, 0.011, 0.006), func() { s.ball(s.segments(8), 1) })
		s.use(dull("brows", 0x3b2a1c, 0.9))
		s.within(at(x*0.038, 0.172, 0.102).turnZ(-x*0.1), func() { s.box(0.042, 0.009, 0.014) })
	}
	s.use(dull("mouth", 0x8a4a42, 0.7))
	s.within(at(0, 0.062, 0.098), func() { s.box(0.042, 0.008, 0.012) })
	if f.name == "wizard" || f.name == "dwarf" || f.name == "viking" || f.name == "king" || f.has("beard", "bearded") {
		if f.has("witch", "queen", "princess", "sorceress", "woman") {
			return
		}
		colour := uint32(0xdedad2)
		if f.name == "dwarf" || f.name == "viking" {
			colour = 0xa5532a
		}
		s.use(dull("beard", colour, 0.95))
		s.within(at(0, 0.035, 0.075), func() {
			s.within(still().stretch(1, 1, 0.6), func() {
				s.turned(s.segments(10), [2]float64{0, -0.2}, [2]float64{0.03, -0.14}, [2]float64{0.065, -0.03}, [2]float64{0.075, 0.03}, [2]float64{0.05, 0.05})
			})
		})
	}
}

func (f *figure) robotHead() {
	s := f.sculptor
	s.use(f.skinTone)
	s.within(at(0, 0.12, 0), func() { s.box(0.22, 0.2, 0.2) })
	s.use(dull("visor", 0x14181d, 0.2))
	s.within(at(0, 0.14, 0.095), func() { s.box(0.18, 0.08, 0.02) })
	s.use(f.wish.beam())
	for _, x := range []float64{-1, 1} {
		s.within(at(x*0.045, 0.14, 0.1), func() { s.ball(s.segments(10), 0.022) })
	}
	s.use(f.secondTone)
	for _, x := range []float64{-1, 1} {
		s.within(at(x*0.11, 0.12, 0).turnZ(-x*tau/4), func() { s.cylinder(s.segments(12), 0.05, 0.04, 0.03) })
	}
	s.within(at(0.05, 0.22, 0), func() { s.cylinder(s.segments(6), 0.006, 0.004, 0.1) })
	s.use(f.wish.beam())
	s.within(at(0.05, 0.33, 0), func() { s.ball(s.segments(8), 0.016) })
}

func (f *figure) hat() {
	s := f.sculptor
	n := s.segments(16)
	switch f.head {
	case wizardHat:
		s.use(f.clothTone)
		s.within(at(0, 0.19, -0.01).turnX(-0.08), func() {
			s.turned(n, [2]float64{0.12, 0}, [2]float64{0.22, -0.01}, [2]float64{0.22, 0.005}, [2]float64{0.112, 0.03}, [2]float64{0.07, 0.18}, [2]float64{0.03, 0.3}, [2]float64{0, 0.36})
			s.use(f.trimTone)
			s.within(at(0, 0.035, 0), func() { s.hoop(0.112, 0.014) })
		})
	case hood:
		s.use(f.clothTone.shaded(0.85).named("hood"))
		s.within(at(0, 0.12, -0.03).turnX(-0.5).stretch(0.135, 0.165, 0.15), func() { s.dome(n, 1, -0.35) })
		s.within(at(0, 0.02, -0.02).stretch(1, 1, 0.9), func() { s.turned(n, [2]float64{0.15, -0.06}, [2]float64{0.12, 0.04}, [2]float64{0.08, 0.06}) })
	case fullHelm:
		s.use(f.clothTone.shaded(1.05).named("helmet"))
		if !f.metal {
			s.use(materials["iron"].named("helmet"))
		}
		s.within(at(0, 0.15, 0).stretch(0.122, 0.128, 0.13), func() { s.dome(n, 1, -0.1) })
		s.within(at(0, 0.07, -0.02), func() { s.box(0.2, 0.16, 0.16) })
		s.use(f.trimTone)
		s.within(at(0, 0.145, 0).stretch(1, 1, 1.06), func() { s.hoop(0.123, 0.01) })
		s.within(at(0, 0.11, 0.13), func() { s.box(0.016, 0.11, 0.014) })
		s.use(f.secondTone.named("plume"))
		s.tube(s.segments(8), false, []vec{{0, 0.27, 0.03}, {0, 0.33, -0.02}, {0, 0.31, -0.12}, {0, 0.2, -0.2}, {0, 0.1, -0.22}}, func(i int) float64 {
			return []float64{0.01, 0.028, 0.034, 0.026, 0.006}[i]
		})
	case crownHat:
		f.locks(dull("hair", 0x6b4a2c, 0.9), false)
		s.use(materials["gold"])
		s.within(at(0, 0.2, 0), func() { s.within(still().stretch(0.95, 1, 0.95), func() { crown(s) }) })
	case brimHat:
		f.locks(dull("hair", 0x2d2119, 0.9), false)
		s.use(f.clothTone.shaded(0.7).named("hat"))
		s.within(at(0, 0.2, 0), func() {
			s.turned(n, [2]float64{0.12, 0}, [2]float64{0.2, 0.02}, [2]float64{0.2, 0.035}, [2]float64{0.115, 0.025}, [2]float64{0.105, 0.11}, [2]float64{0.06, 0.13}, [2]float64{0, 0.12})
			s.use(f.trimTone)
			s.within(at(0, 0.035, 0), func() { s.hoop(0.113, 0.012) })
		})
	case bubble:
		s.use(clear("bubble", 0xbfe0f0, 0.3))
		s.within(at(0, 0.12, 0), func() { s.ball(s.segments(20), 0.19) })
		s.use(f.secondTone)
		s.within(at(0, -0.03, 0), func() { s.hoop(0.13, 0.03) })
	case horns:
		f.locks(dull("hair", 0x8a4a24, 0.9), true)
		s.use(materials["ivory"].named("horns"))
		for _, x := range []float64{-1, 1} {
			s.tube(s.segments(8), false, []vec{{x * 0.085, 0.2, 0}, {x * 0.14, 0.23, 0}, {x * 0.175, 0.29, 0.01}, {x * 0.165, 0.36, 0.03}}, func(i int) float64 { return 0.027 - float64(0.0083*float64(i)) })
		}
	case hair:
		colour := pick(f.wish.random.fork("hair"), 0x2b1d14, 0x5b3a1e, 0xa8672a, 0xd9b45c, 0x8c2f1c, 0x1d1d22)
		f.locks(dull("hair", uint32(colour), 0.85), f.has("woman", "girl", "elf", "princess", "long", "fairy", "female", "angel")) // #nosec G115 -- a colour
	}
}

// locks are hair, short or long.
func (f *figure) locks(m material, long bool) {
	s := f.sculptor
	if f.has("red", "ginger") && f.head == hair {
		m = m.coloured(hex(0xb5481c))
	}
	s.use(m)
	s.within(at(0, 0.155, -0.018).turnX(-0.25).stretch(0.115, 0.118, 0.122), func() { s.dome(s.segments(16), 1, -0.05) })
	if long {
		s.within(at(0, 0.05, -0.07).stretch(0.1, 0.17, 0.055), func() { s.ball(s.segments(14), 1) })
	}
	s.within(at(0, 0.235, 0.05).stretch(0.085, 0.03, 0.055), func() { s.ball(s.segments(10), 1) })
}
