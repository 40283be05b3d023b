package procedural

import "strings"

// archetypes by the words that mean them.
var archetypes = named([]entry[archetype]{
	{"sword dagger knife blade katana saber sabre greatsword longsword shortsword broadsword claymore rapier scimitar excalibur lightsaber", archetype{"sword", sword}},
	{"axe hatchet tomahawk halberd battleaxe", archetype{"axe", axe}},
	{"hammer warhammer mace mallet club maul", archetype{"hammer", hammer}},
	{"staff wand scepter sceptre rod cane", archetype{"staff", staff}},
	{"spear lance pike trident javelin polearm arrow", archetype{"spear", spear}},
	{"bow longbow crossbow", archetype{"bow", bow}},
	{"shield buckler", archetype{"shield", shield}},
	{"gun pistol rifle blaster raygun revolver cannon shotgun weapon", archetype{"gun", gun}},
	{"potion bottle flask vial elixir jar phial antidote", archetype{"potion", potion}},
	{"mug cup tankard goblet beer coffee tea glass chalice stein", archetype{"mug", mug}},
	{"vase urn pot amphora pitcher jug bowl pottery", archetype{"vase", vase}},
	{"barrel keg cask drum", archetype{"barrel", barrel}},
	{"crate box container package parcel cargo cube", archetype{"crate", crate}},
	{"chest coffer trunk treasure loot", archetype{"chest", chest}},
	{"cauldron kettle", archetype{"cauldron", cauldron}},
	{"torch", archetype{"torch", torch}},
	{"candle candlestick", archetype{"candle", candle}},
	{"lantern", archetype{"lantern", lantern}},
	{"lamp streetlight lamppost", archetype{"lamp", lamp}},
	{"tree oak pine birch willow palm fir spruce sapling maple", archetype{"tree", tree}},
	{"bush shrub hedge plant fern", archetype{"bush", bush}},
	{"rock stone boulder pebble asteroid meteor meteorite cliff", archetype{"rock", rock}},
	{"crystal geode shard", archetype{"crystal", crystal}},
	{"mushroom toadstool fungus", archetype{"mushroom", mushroom}},
	{"flower rose tulip daisy lily sunflower orchid blossom", archetype{"flower", flower}},
	{"cactus", archetype{"cactus", cactus}},
	{"table desk workbench altar bench", archetype{"table", table}},
	{"chair stool throne seat armchair", archetype{"chair", chair}},
	{"bed cot bunk", archetype{"bed", bed}},
	{"bookshelf shelf bookcase cupboard cabinet wardrobe", archetype{"shelf", shelf}},
	{"book tome grimoire spellbook scroll journal diary", archetype{"book", book}},
	{"door gate portal", archetype{"door", door}},
	{"house cottage hut cabin home inn tavern shop barn building farmhouse", archetype{"house", house}},
	{"tower lighthouse turret", archetype{"tower", tower}},
	{"castle fortress palace citadel stronghold", archetype{"castle", castle}},
	{"well", archetype{"well", well}},
	{"tent camp pavilion", archetype{"tent", tent}},
	{"pillar column obelisk statue monument ruin", archetype{"pillar", pillar}},
	{"car truck van bus jeep vehicle automobile taxi", archetype{"car", car}},
	{"cart wagon carriage chariot wheelbarrow", archetype{"cart", cart}},
	{"ship boat galleon sailboat vessel yacht rowboat canoe", archetype{"ship", ship}},
	{"spaceship starship spacecraft fighter ufo drone shuttle plane aircraft airplane", archetype{"spaceship", spaceship}},
	{"rocket missile", archetype{"rocket", rocket}},
	{"key", archetype{"key", key}},
	{"ring amulet necklace pendant bracelet", archetype{"ring", ring}},
	{"coin medal token", archetype{"coin", coin}},
	{"crown tiara diadem", archetype{"crown", crown}},
	{"gem jewel gemstone diamond ruby emerald sapphire amethyst topaz", archetype{"gem", gemstone}},
	{"helmet helm", archetype{"helmet", helmet}},
	{"skull skeleton", archetype{"skull", skull}},
})

// entry is a row of a table: words, and what they mean.
type entry[T any] struct {
	words string
	thing T
}

// named makes a table of words, each with one meaning.
func named[T any](rows []entry[T]) map[string]T {
	table := map[string]T{}
	for _, row := range rows {
		for _, word := range strings.Fields(row.words) {
			if _, known := table[word]; known {
				panic("two meanings: " + word)
			}
			table[word] = row.thing
		}
	}
	return table
}
