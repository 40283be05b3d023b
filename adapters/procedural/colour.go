package procedural

import "math"

// rgb is a colour in linear light: twice the number is twice the light. The curve between it and the numbers of files is the square, which
// is near enough to that of sRGB and the same on every processor.
type rgb struct{ r, g, b float64 }

// hex is a colour as it is written on pages.
func hex(code uint32) rgb {
	part := func(shift uint) float64 {
		v := float64(code>>shift&0xff) / 255
		return mul(v, v)
	}
	return rgb{part(16), part(8), part(0)}
}

func (c rgb) mix(d rgb, t float64) rgb {
	return rgb{mix(c.r, d.r, t), mix(c.g, d.g, t), mix(c.b, d.b, t)}
}
func (c rgb) scale(k float64) rgb { return rgb{mul(c.r, k), mul(c.g, k), mul(c.b, k)} }
func (c rgb) add(d rgb) rgb       { return rgb{c.r + d.r, c.g + d.g, c.b + d.b} }
func (c rgb) times(d rgb) rgb     { return rgb{mul(c.r, d.r), mul(c.g, d.g), mul(c.b, d.b)} }

func (c rgb) light() float64 { return mul(c.r, 0.3) + mul(c.g, 0.59) + mul(c.b, 0.11) }

// shade is darker below 1 and lighter above, never more than white.
func (c rgb) shade(k float64) rgb {
	if k <= 1 {
		return c.scale(max(k, 0))
	}
	return c.mix(rgb{1, 1, 1}, min(k-1, 1))
}

// vivid spreads the parts of a colour around its light.
func (c rgb) vivid(k float64) rgb {
	l := c.light()
	grey := rgb{l, l, l}
	m := grey.mix(c, k)
	return rgb{clamp(m.r, 0, 1), clamp(m.g, 0, 1), clamp(m.b, 0, 1)}
}

// bytes are the numbers of files.
func (c rgb) bytes() [3]uint8 { return [3]uint8{toByte(c.r), toByte(c.g), toByte(c.b)} }

func toByte(light float64) uint8 {
	return uint8(math.Floor(mul(math.Sqrt(clamp(light, 0, 1)), 255) + 0.5))
}

// wheel is a colour by its hue, from 0 to 1 around the circle, its depth and its light.
func wheel(hue, depth, light float64) rgb {
	part := func(offset float64) float64 {
		d := math.Abs(mul(fraction(hue+offset), 6) - 3)
		return mul(light, mix(1, clamp(d-1, 0, 1), depth))
	}
	return rgb{part(0), part(2.0 / 3), part(1.0 / 3)}
}
