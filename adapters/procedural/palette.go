package procedural

// role says for which part of a thing a material is.
type role int

// The roles: what the thing is made of, what else, its fittings, and what catches the eye.
const (
	mainRole role = iota
	secondRole
	trimRole
	accentRole
)

// tone is the material of a part: what the words say, or the usual one, changed a little.
func (w *wish) tone(part role, usual material) material {
	m := usual
	solids, gems := w.sorted()
	switch {
	case part == accentRole && len(gems) > 0:
		m = gems[0]
	case part == mainRole && len(solids) == 0 && len(gems) > 0:
		m = gems[0]
	case int(part) < len(solids):
		m = solids[part]
	default:
		m = w.varied(part, m)
	}
	if c, ok := w.colourOf(part); ok {
		m = m.coloured(c)
	}
	return w.finished(part, m)
}

// sorted parts what things are made of from what adorns them.
func (w *wish) sorted() (solids, gems []material) {
	for _, m := range w.materials {
		if m.alpha < 1 || m.name == "pearl" || m.name == "jade" {
			gems = append(gems, m)
		} else {
			solids = append(solids, m)
		}
	}
	return solids, gems
}

// varied is a usual material in another hue: two things of the same kind are not the same.
func (w *wish) varied(part role, m material) material {
	r := w.random.fork("tone").fork(m.name)
	amount := r.between(0.05, 0.25)
	if part == accentRole {
		amount = 0.6
	}
	m.colour = m.colour.mix(wheel(r.unit(), 0.7, 0.6), amount).shade(r.around(1, 0.15))
	if w.look == scifiLook && m.alpha == 1 && part != accentRole {
		return w.technical(part, m)
	}
	return m
}

// technical is what the future is made of instead of wood and leather.
func (w *wish) technical(part role, m material) material {
	light := pick(w.random.fork("technical"), rgb{0.75, 0.78, 0.82}, rgb{0.16, 0.18, 0.22}, rgb{0.42, 0.46, 0.5})
	if part != mainRole {
		light = light.scale(0.35)
	}
	return material{name: "alloy of " + m.name, colour: m.colour.mix(light, 0.85), metallic: 0.7, roughness: 0.35, alpha: 1}
}

// colourOf is the colour that words give a part. The first one of something that glows is that of its light.
func (w *wish) colourOf(part role) (rgb, bool) {
	named := w.colours
	if w.glowing && len(named) > 0 {
		if part == accentRole {
			return named[0], true
		}
		named = named[1:]
	}
	solids, _ := w.sorted()
	if len(named) <= int(part) || part == accentRole && len(named) == 0 {
		return rgb{}, false
	}
	if len(solids) > int(part) && solids[part].metallic > 0 && len(named) == 1 {
		return rgb{}, false // "a golden sword, red": the gold stays gold
	}
	return named[part], true
}

// light is the colour in which things glow.
func (w *wish) light() rgb {
	_, gems := w.sorted()
	switch {
	case w.glowing && len(w.colours) > 0:
		return w.colours[0].vivid(1.3)
	case len(gems) > 0:
		return gems[0].colour.vivid(1.3)
	case w.has("fire", "flame", "flaming", "burning", "fiery", "lava", "torch", "lit"):
		return hex(0xff8a2a)
	case w.has("cursed", "poison", "toxic", "acid"):
		return hex(0x7dff3a)
	case w.has("holy", "divine", "sun", "light"):
		return hex(0xffe9a0)
	}
	return wheel(w.random.fork("light").unit(), 0.75, 1)
}

// finished ages, brightens or lights a material as the whole is meant.
func (w *wish) finished(part role, m material) material {
	if w.broken {
		m.colour = m.colour.vivid(0.7).scale(0.75)
		m.roughness = min(1, m.roughness+0.3)
	}
	if w.look == cartoonLook {
		m.colour = m.colour.vivid(1.35)
		m.metallic = mul(m.metallic, 0.4)
	}
	if part == mainRole && w.glowing {
		m.glow = w.light().scale(0.3)
		m.colour = m.colour.mix(w.light(), 0.3)
	}
	if part == accentRole && (w.glowing || w.look == scifiLook || w.look == fantasyLook && m.alpha < 1) {
		m.glow = w.light()
		m.colour = m.colour.mix(m.glow, 0.5)
	}
	return m
}

// beam is a material that is nothing but light.
func (w *wish) beam() material {
	c := w.light()
	return material{name: "glow", colour: c, roughness: 0.4, alpha: 1, glow: c}
}
