package mediafile

import (
	"bytes"
	"encoding/binary"
	"time"

	"gaia/domain"
)

// maxChunks bounds how many chunks are gone through before the one that is looked for.
const maxChunks = 1000

// seconds is how long so many units take, at so many in a second.
func seconds(units, rate uint64) time.Duration {
	if rate == 0 || units/rate > uint64(1000*time.Hour/time.Second) {
		return 0
	}
	return time.Duration(units/rate)*time.Second + time.Duration(units%rate*uint64(time.Second)/rate) //nolint:gosec // bounded above
}

// readWAV goes through the chunks of a WAV file. The data may say that it is longer than the file: recorders that died leave that.
func readWAV(f *file, facts *domain.FileFacts) error {
	at, rate := int64(12), uint64(0)
	for range maxChunks {
		head, err := f.from(at, 24)
		if err != nil {
			return err
		}
		if len(head) < 8 {
			return broken("has no sound")
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if len(head) < 20 {
				return broken("ends too early")
			}
			rate = uint64(binary.LittleEndian.Uint32(head[16:])) // bytes in a second
		case "data":
			if rate == 0 {
				return broken("does not say how fast it plays")
			}
			facts.Duration = seconds(uint64(max(min(size, f.size-at-8), 0)), rate) //nolint:gosec // not negative
			return nil
		}
		at += 8 + size + size%2
	}
	return broken("has too many parts")
}

func readFLAC(f *file, facts *domain.FileFacts) error {
	head, err := f.from(0, 42)
	if err != nil {
		return err
	}
	if len(head) < 42 || head[4]&0x7f != 0 {
		return broken("ends too early")
	}
	packed := binary.BigEndian.Uint64(head[18:]) // 20 bits of rate, 3 of channels, 5 of depth, 36 of samples
	rate := packed >> 44
	if rate == 0 {
		return broken("does not say how fast it plays")
	}
	facts.Duration = seconds(packed&(1<<36-1), rate)
	return nil
}

// oggTail is how much of the end of an Ogg file is searched for its last page: none is longer.
const oggTail = 65_307

// readOgg knows Vorbis and Opus. The last page says how many samples there are.
func readOgg(f *file, facts *domain.FileFacts) error {
	head, err := f.from(0, headSize)
	if err != nil {
		return err
	}
	rate, skip := uint64(0), uint64(0)
	if i := bytes.Index(head, []byte("\x01vorbis")); i >= 0 && len(head) >= i+16 {
		rate = uint64(binary.LittleEndian.Uint32(head[i+12:]))
	} else if i := bytes.Index(head, []byte("OpusHead")); i >= 0 && len(head) >= i+12 {
		rate, skip = 48_000, uint64(binary.LittleEndian.Uint16(head[i+10:]))
	}
	if rate == 0 {
		return broken("it is neither Vorbis nor Opus")
	}
	tail, err := f.from(f.size-oggTail, oggTail)
	if err != nil {
		return err
	}
	i := bytes.LastIndex(tail, []byte("OggS"))
	if i < 0 || len(tail) < i+14 {
		return broken("ends too early")
	}
	if samples := binary.LittleEndian.Uint64(tail[i+6:]); samples < 1<<62 && samples > skip {
		facts.Duration = seconds(samples-skip, rate)
	}
	return nil
}

// isMP3 takes an ID3 tag, or a frame of layer III.
func isMP3(head []byte) bool {
	if bytes.HasPrefix(head, []byte("ID3")) {
		return true
	}
	_, ok := parseFrame(head)
	return ok
}

// frame is what the header of an MP3 frame says.
type frame struct {
	bitrate, rate, samples uint64
	info                   int // where a frame of information would begin
}

var (
	bitrates1 = [16]uint64{1: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	bitrates2 = [16]uint64{1: 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
	rates1    = [4]uint64{44_100, 48_000, 32_000}
)

func parseFrame(b []byte) (frame, bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe6 != 0xe2 { // sync, layer III
		return frame{}, false
	}
	version := b[1] >> 3 & 3 // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
	rate := rates1[b[2]>>2&3]
	if version == 1 || rate == 0 {
		return frame{}, false
	}
	mono := b[3]>>6 == 3
	f := frame{bitrate: bitrates1[b[2]>>4] * 1000, rate: rate, samples: 1152, info: 36}
	if mono {
		f.info = 21
	}
	if version != 3 {
		f.bitrate, f.samples, f.info = bitrates2[b[2]>>4]*1000, 576, 21
		if mono {
			f.info = 13
		}
		if f.rate /= 2; version == 0 {
			f.rate /= 2
		}
	}
	return f, f.bitrate > 0
}

// readMP3 takes the length from the frame of information if there is one, and else guesses it from the first frame's bit rate.
func readMP3(f *file, facts *domain.FileFacts) error {
	start := int64(0)
	head, err := f.from(0, 10)
	if err != nil {
		return err
	}
	if len(head) == 10 && string(head[:3]) == "ID3" {
		start = 10 + (int64(head[6]&0x7f)<<21 | int64(head[7]&0x7f)<<14 | int64(head[8]&0x7f)<<7 | int64(head[9]&0x7f))
	}
	body, err := f.from(start, 4096)
	if err != nil {
		return err
	}
	for len(body) >= 4 { // some writers leave a gap behind the tag
		first, ok := parseFrame(body)
		if !ok {
			body = body[1:]
			continue
		}
		if n := frames(body, first.info); n > 0 {
			facts.Duration = seconds(n*first.samples, first.rate)
		} else {
			facts.Duration = seconds(uint64(f.size-start)*8, first.bitrate) //nolint:gosec // a frame was there
		}
		return nil
	}
	return broken("has no sound")
}

// frames is how many there are by the frame of information; 0 when there is none.
func frames(b []byte, at int) uint64 {
	if len(b) < at+12 {
		return 0
	}
	if name := string(b[at : at+4]); name != "Xing" && name != "Info" || b[at+7]&1 == 0 {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(b[at+8:]))
}
