package procedural

// material is what a surface is made of, in the terms of glTF.
type material struct {
	name      string
	colour    rgb
	metallic  float64
	roughness float64
	glow      rgb     // light that it gives
	alpha     float64 // 1: nothing shines through
}

func dull(name string, code uint32, roughness float64) material {
	return material{name: name, colour: hex(code), roughness: roughness, alpha: 1}
}

func metal(name string, code uint32, roughness float64) material {
	return material{name: name, colour: hex(code), metallic: 1, roughness: roughness, alpha: 1}
}

func clear(name string, code uint32, alpha float64) material {
	return material{name: name, colour: hex(code), roughness: 0.1, alpha: alpha}
}

func (m material) named(name string) material {
	m.name = name
	return m
}

func (m material) coloured(c rgb) material {
	m.colour = c
	return m
}

func (m material) shaded(k float64) material {
	m.colour = m.colour.shade(k)
	return m
}

// shining gives light of a colour.
func (m material) shining(c rgb) material {
	m.glow = c
	return m
}

// materials are those that words name.
var materials = map[string]material{
	"wood": dull("wood", 0x8a5a33, 0.8), "oak": dull("oak", 0x9a6b3d, 0.8), "pine": dull("pine", 0xb98a55, 0.8), "ebony": dull("ebony", 0x33241f, 0.6),
	"mahogany": dull("mahogany", 0x6b2f22, 0.6), "bamboo": dull("bamboo", 0xb7a95a, 0.7), "cork": dull("cork", 0xb08a5f, 0.9), "straw": dull("straw", 0xcdb05f, 0.95),
	"stone": dull("stone", 0x8b8a86, 0.9), "granite": dull("granite", 0x77706e, 0.8), "marble": dull("marble", 0xe6e2da, 0.25), "sandstone": dull("sandstone", 0xcaa877, 0.9),
	"slate": dull("slate", 0x56606a, 0.8), "obsidian": dull("obsidian", 0x1d1a24, 0.1), "brick": dull("brick", 0xa24b35, 0.9), "concrete": dull("concrete", 0xa3a29d, 0.95),
	"clay": dull("clay", 0xb4694a, 0.9), "ceramic": dull("ceramic", 0xe8e2d6, 0.25), "porcelain": dull("porcelain", 0xf2efe9, 0.15), "bone": dull("bone", 0xe0d6b8, 0.6),
	"ivory": dull("ivory", 0xf0e6cb, 0.4), "leather": dull("leather", 0x6f4527, 0.65), "cloth": dull("cloth", 0x9b7f6a, 0.95), "silk": dull("silk", 0xc9b3c8, 0.35),
	"velvet": dull("velvet", 0x6d1f3c, 0.9), "wool": dull("wool", 0xcfc4b2, 1), "paper": dull("paper", 0xefe6cf, 0.9), "plastic": dull("plastic", 0xd8d8d8, 0.4),
	"rubber": dull("rubber", 0x2a2a2c, 0.9), "wax": dull("wax", 0xeee0b8, 0.5), "coral": dull("coral", 0xe8705a, 0.8), "moss": dull("moss", 0x5c7a35, 1),
	"iron": metal("iron", 0x77787c, 0.55), "steel": metal("steel", 0xc4c9d0, 0.3), "metal": metal("metal", 0xa9afb6, 0.35), "silver": metal("silver", 0xe3e5e8, 0.2),
	"gold": metal("gold", 0xffcf5c, 0.25), "golden": metal("gold", 0xffcf5c, 0.25), "copper": metal("copper", 0xd58a63, 0.35), "bronze": metal("bronze", 0xb8834a, 0.4),
	"brass": metal("brass", 0xd9b25f, 0.35), "rust": metal("rust", 0x8e4a2a, 0.85), "titanium": metal("titanium", 0x9c9fa6, 0.3), "chrome": metal("chrome", 0xe9ecef, 0.08),
	"lead": metal("lead", 0x5f6470, 0.6), "platinum": metal("platinum", 0xe8e6e1, 0.2), "mithril": metal("mithril", 0xcfe3f2, 0.15), "aluminium": metal("aluminium", 0xd5d8db, 0.3),
	"glass": clear("glass", 0xcfe6ea, 0.4), "crystal": clear("crystal", 0x9fd8f0, 0.75), "ice": clear("ice", 0xcbeaf5, 0.75), "diamond": clear("diamond", 0xe6f5fb, 0.6),
	"ruby": clear("ruby", 0xc8102e, 0.85), "emerald": clear("emerald", 0x1f9e5a, 0.85), "sapphire": clear("sapphire", 0x1f4fb8, 0.85), "amethyst": clear("amethyst", 0x8f5bc4, 0.85),
	"amber": clear("amber", 0xe79a2e, 0.85), "jade": dull("jade", 0x4f9e73, 0.35), "topaz": clear("topaz", 0xf2b84b, 0.85), "pearl": dull("pearl", 0xf3ece6, 0.2),
}

// synonyms of materials.
var materialWords = map[string]string{
	"wooden": "wood", "timber": "wood", "oaken": "oak", "rocky": "stone", "cobblestone": "stone", "stony": "stone", "rusty": "rust", "rusted": "rust",
	"metallic": "metal", "icy": "ice", "frozen": "ice", "crystalline": "crystal", "gilded": "gold", "fabric": "cloth", "woollen": "wool", "mossy": "moss",
	"porcelaine": "porcelain", "aluminum": "aluminium", "bony": "bone", "skeletal": "bone", "gem": "crystal", "jewelled": "ruby", "leathery": "leather",
	"basalt": "obsidian", "bricks": "brick", "cardboard": "paper", "parchment": "paper", "cotton": "cloth", "linen": "cloth", "cement": "concrete",
}

// colours are those that words name.
var colours = map[string]rgb{
	"red": hex(0xc3282d), "crimson": hex(0xa3122c), "scarlet": hex(0xd9301f), "maroon": hex(0x6e1423), "pink": hex(0xf08fb2), "magenta": hex(0xc9229b), "rose": hex(0xe2667f),
	"orange": hex(0xed7d22), "peach": hex(0xf7b48c), "yellow": hex(0xf4cf2d), "lemon": hex(0xf6e652), "cream": hex(0xf6ecd2), "beige": hex(0xdccba5), "tan": hex(0xc9a675),
	"brown": hex(0x7a4a2a), "chocolate": hex(0x4e2c1c), "green": hex(0x3f9a3c), "lime": hex(0x9ad22f), "olive": hex(0x74772b), "mint": hex(0x9fe0c0), "teal": hex(0x17807e),
	"turquoise": hex(0x35c4b9), "cyan": hex(0x29c3dd), "blue": hex(0x2a63c9), "navy": hex(0x1b2a5c), "azure": hex(0x4a9df0), "indigo": hex(0x45369c), "purple": hex(0x7b3fa6),
	"violet": hex(0x8a55d0), "lavender": hex(0xb9a3e3), "lilac": hex(0xc7a4d4), "white": hex(0xf4f4f2), "black": hex(0x222226), "gray": hex(0x85868a), "grey": hex(0x85868a),
	"charcoal": hex(0x3b3d42), "blood": hex(0x8a0f14), "sky": hex(0x7fb8ea), "neon": hex(0x39ffb0), "fiery": hex(0xff6a1a), "emerald": hex(0x1f9e5a), "ruby": hex(0xc8102e),
	"sapphire": hex(0x1f4fb8), "golden": hex(0xf2bd3e), "silver": hex(0xc9cdd2), "burgundy": hex(0x6d1a30), "salmon": hex(0xf48a78), "khaki": hex(0xb9ab72), "amber": hex(0xf0a030),
}
