package mediafile

import (
	"bytes"
	"encoding/binary"
	"time"

	"gaia/domain"
)

// length is how long so many samples sound. Longer than a year is no sound but a lie.
func length(samples, rate uint64) (time.Duration, bool) {
	const year = 366 * 24 * time.Hour
	if rate == 0 || samples/rate > uint64(year/time.Second) {
		return 0, false
	}
	return time.Duration(float64(samples) / float64(rate) * float64(time.Second)), true
}

const maxChunks = 10_000

// wav reads the chunks of a RIFF file up to the samples.
func wav(f *file) (domain.FileFacts, error) {
	var bytesPerSecond uint64
	place := int64(12)
	for range maxChunks {
		head, err := f.at(place, 8)
		if err != nil {
			return domain.FileFacts{}, broken("WAV", "it has no samples")
		}
		size, left := int64(binary.LittleEndian.Uint32(head[4:])), f.size-place-8
		if size == 0xffffffff { // whoever wrote it did not know yet
			size = left
		}
		if size > left {
			return domain.FileFacts{}, broken("WAV", "it ends early")
		}
		switch string(head[:4]) {
		case "fmt ":
			format, err := f.at(place+8, 16)
			if err != nil || size < 16 {
				return domain.FileFacts{}, broken("WAV", "its format can't be read")
			}
			bytesPerSecond = uint64(binary.LittleEndian.Uint32(format[8:]))
		case "data":
			duration, ok := length(uint64(size), bytesPerSecond) // #nosec G115 -- the size is not negative
			if !ok {
				return domain.FileFacts{}, broken("WAV", "its format is not before its samples")
			}
			return domain.FileFacts{Duration: duration}, nil
		}
		place += 8 + size + size%2
	}
	return domain.FileFacts{}, broken("WAV", "it has too many parts")
}

// flac reads the description that stands first in the file.
func flac(f *file) (domain.FileFacts, error) {
	info, err := f.at(4, 4+34)
	if err != nil || info[0]&0x7f != 0 || int(info[1])<<16|int(info[2])<<8|int(info[3]) != 34 {
		return domain.FileFacts{}, broken("FLAC", "its description can't be read")
	}
	packed := binary.BigEndian.Uint64(info[4+10:])
	rate, samples := packed>>44, packed&(1<<36-1)
	duration, ok := length(samples, rate)
	if !ok {
		return domain.FileFacts{}, broken("FLAC", "it has no sampling rate")
	}
	return domain.FileFacts{Duration: duration}, nil
}

const maxOggPage = 65_307

// ogg reads what the sound is in the first page, and when it ends in the last.
func ogg(f *file) (domain.FileFacts, error) {
	first, err := f.upTo(0, 27+255+64)
	if err != nil {
		return domain.FileFacts{}, err
	}
	if len(first) < 27 || len(first) < 27+int(first[26])+19 {
		return domain.FileFacts{}, broken("Ogg", "it ends early")
	}
	packet := first[27+int(first[26]):]
	var rate, skip uint64
	switch {
	case bytes.HasPrefix(packet, []byte("\x01vorbis")):
		rate = uint64(binary.LittleEndian.Uint32(packet[12:]))
	case bytes.HasPrefix(packet, []byte("OpusHead")):
		rate, skip = 48_000, uint64(binary.LittleEndian.Uint16(packet[10:]))
	default:
		return domain.FileFacts{}, broken("Ogg", "it holds neither Vorbis nor Opus")
	}
	end, err := f.upTo(max(0, f.size-maxOggPage), maxOggPage)
	if err != nil {
		return domain.FileFacts{}, err
	}
	last := bytes.LastIndex(end, []byte("OggS"))
	if last < 0 || len(end)-last < 14 {
		return domain.FileFacts{}, broken("Ogg", "its last page is missing")
	}
	samples := binary.LittleEndian.Uint64(end[last+6:])
	if samples == 1<<64-1 { // no packet ends there
		samples = 0
	}
	duration, ok := length(samples-min(skip, samples), rate)
	if !ok {
		return domain.FileFacts{}, broken("Ogg", "it has no sampling rate")
	}
	return domain.FileFacts{Duration: duration}, nil
}

// looksLikeMP3 reports whether a file may be an MP3; only mp3 knows.
func looksLikeMP3(head []byte) bool {
	return begins("ID3")(head) || len(head) > 1 && head[0] == 0xff && head[1]&0xe0 == 0xe0
}

// mp3Frame is what stands before each piece of an MP3.
type mp3Frame struct {
	size, bitrate, rate, samples int
	mono, version1               bool
}

var (
	bitrates1 = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0} // of MPEG 1
	bitrates2 = [16]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}     // of MPEG 2 and 2.5
	mp3Rates  = [4][3]int{{11025, 12000, 8000}, {}, {22050, 24000, 16000}, {44100, 48000, 32000}}
)

func parseMP3Frame(b []byte) (f mp3Frame, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return f, false
	}
	version, layer, rate := b[1]>>3&3, b[1]>>1&3, b[2]>>2&3
	if version == 1 || layer != 1 || rate == 3 {
		return f, false
	}
	f.version1, f.mono = version == 3, b[3]>>6 == 3
	rates, factor := bitrates2, 72
	f.samples = 576
	if f.version1 {
		rates, factor, f.samples = bitrates1, 144, 1152
	}
	f.bitrate, f.rate = rates[b[2]>>4]*1000, mp3Rates[version][rate]
	if f.bitrate == 0 {
		return f, false
	}
	f.size = factor*f.bitrate/f.rate + int(b[2]>>1&1)
	return f, true
}

const maxMP3Search = 64 << 10

// mp3 finds the first frame, which another has to follow, and tells by it how long the file sounds.
func mp3(f *file) (domain.FileFacts, error) {
	start, err := mp3Start(f)
	if err != nil {
		return domain.FileFacts{}, err
	}
	data, err := f.upTo(start, maxMP3Search)
	if err != nil {
		return domain.FileFacts{}, broken("MP3", "its tags are longer than the file")
	}
	for i := 0; i+4 <= len(data); i++ {
		frame, ok := parseMP3Frame(data[i:])
		if !ok {
			continue
		}
		next, err := f.upTo(start+int64(i+frame.size), 4)
		if err != nil {
			continue
		}
		if _, ok := parseMP3Frame(next); !ok && len(next) == 4 && string(next[:3]) != "TAG" {
			continue
		}
		return domain.FileFacts{Duration: mp3Length(frame, data[i:], f.size-start-int64(i))}, nil
	}
	if start == 0 {
		return domain.FileFacts{}, errOther
	}
	return domain.FileFacts{}, broken("MP3", "it has no sound")
}

// mp3Start is where the tags before the sound end.
func mp3Start(f *file) (int64, error) {
	head, err := f.upTo(0, 10)
	if err != nil || len(head) < 10 || string(head[:3]) != "ID3" {
		return 0, err
	}
	size := int64(0)
	for _, b := range head[6:] {
		if b&0x80 != 0 {
			return 0, broken("MP3", "its tags can't be read")
		}
		size = size<<7 | int64(b)
	}
	return 10 + size, nil
}

// mp3Length is how long an MP3 sounds: as its first frame says, or as long as bytes at the rate of that one take.
func mp3Length(frame mp3Frame, data []byte, size int64) time.Duration {
	side := 36
	switch {
	case frame.version1 && frame.mono, !frame.version1 && !frame.mono:
		side = 21
	case !frame.version1:
		side = 13
	}
	if len(data) >= side+12 {
		if name := string(data[side : side+4]); (name == "Xing" || name == "Info") && data[side+7]&1 != 0 {
			frames := uint64(binary.BigEndian.Uint32(data[side+8:]))
			// Each frame has some bytes, so there can't be more of them.
			if duration, ok := length(frames*uint64(frame.samples), uint64(frame.rate)); ok && int64(frames) <= size/16 { // #nosec G115 -- both are bounded by the size of the file
				return duration
			}
		}
	}
	duration, _ := length(uint64(size)*8, uint64(frame.bitrate)) // #nosec G115 -- neither is negative
	return duration
}
