package audit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A segment file is a head and then batches, one for each flush:
//
//	head   magic 16 ‖ number 8 ‖ first index 8 ‖ synced tree size 8 ‖ CRC-32C 4
//	batch  magic 8 ‖ first index 8 ‖ records 4 ‖ bytes 4 ‖ CRC-32C 4 ‖ records, each after its length (4)
//
// A batch is acknowledged whole or not at all, so its checksum tells a write
// that was torn by a crash from one that was acknowledged: the writer starts a
// batch only when the one before it is on disk. Integers are big endian. The
// checksums find accidents; the tree finds forgers.
const (
	segmentMagic = "gatehouse-audit\x01"
	batchMagic   = "\xaeGHbatch"
	headLen      = 16 + 3*8 + 4
	batchHeadLen = 8 + 8 + 4 + 4 + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errTorn    = errors.New("the rest is not a whole batch")
	errNewer   = errors.New("it is of a newer format than this Gatehouse reads: run the version that wrote it, or a later one")
)

// head starts a segment. Up to Synced records the tiles are known to be on disk:
// recovery reads the data from there on and no more.
type head struct {
	Number uint64
	First  int64
	Synced int64
}

func (h head) marshal() []byte {
	b := []byte(segmentMagic)
	b = binary.BigEndian.AppendUint64(b, h.Number)
	b = binary.BigEndian.AppendUint64(b, uint64(h.First))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Synced))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseHead(b []byte) (head, error) {
	if at := len(segmentMagic) - 1; len(b) >= headLen && string(b[:at]) == segmentMagic[:at] && b[at] > segmentMagic[at] {
		return head{}, errNewer // not torn: an older command must not take it for the end of the log
	}
	if len(b) < headLen || string(b[:16]) != segmentMagic ||
		binary.BigEndian.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) {
		return head{}, errTorn
	}
	return head{
		Number: binary.BigEndian.Uint64(b[16:]),
		First:  int64(binary.BigEndian.Uint64(b[24:])),
		Synced: int64(binary.BigEndian.Uint64(b[32:])),
	}, nil
}

// finishBatch fills in the head that lies before the records in b.
func finishBatch(b []byte, first int64, records int) {
	h := b[:batchHeadLen]
	copy(h, batchMagic)
	binary.BigEndian.PutUint64(h[8:], uint64(first))
	binary.BigEndian.PutUint32(h[16:], uint32(records))
	binary.BigEndian.PutUint32(h[20:], uint32(len(b)-batchHeadLen))
	binary.BigEndian.PutUint32(h[24:], batchSum(b))
}

func batchSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[8:24], castagnoli), castagnoli, b[batchHeadLen:])
}

// batch is what one flush wrote.
type batch struct {
	First   int64
	Records int
	body    []byte
}

// each calls f with every record of the batch.
func (b batch) each(f func(index int64, stored []byte) error) error {
	rest := b.body
	for i := range b.Records {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(binary.BigEndian.Uint32(rest)) {
			return fmt.Errorf("record %d: batch ends within it", b.First+int64(i))
		}
		n := 4 + int(binary.BigEndian.Uint32(rest))
		if err := f(b.First+int64(i), rest[4:n:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("record %d: batch goes on after its last record", b.First+int64(b.Records))
	}
	return nil
}

// segment reads a segment file; also one that is being written.
type segment struct {
	head
	path   string
	f      *os.File
	r      *bufio.Reader
	offset int64 // end of the last whole batch
	buf    []byte
}

func openSegment(path string) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	s := &segment{path: path, f: f, r: bufio.NewReaderSize(f, 1<<18), offset: headLen}
	b := make([]byte, headLen)
	n, err := io.ReadFull(s.r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		f.Close()
		return nil, fmt.Errorf("read segment %s: %w", path, err)
	}
	if s.head, err = parseHead(b[:n]); err != nil {
		f.Close()
		return nil, fmt.Errorf("head of segment %s: %w", path, err)
	}
	return s, nil
}

func (s *segment) close() { s.f.Close() }

// next reads the next batch, valid until the next call: io.EOF after the last,
// errTorn where the rest is no whole batch.
func (s *segment) next() (batch, error) {
	s.buf = slices.Grow(s.buf[:0], batchHeadLen)[:batchHeadLen]
	if n, err := io.ReadFull(s.r, s.buf); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return batch{}, io.EOF
		}
		return batch{}, tornOr(err)
	}
	if !bytes.HasPrefix(s.buf, []byte(batchMagic)) {
		return batch{}, errTorn
	}
	n := batchHeadLen + int(binary.BigEndian.Uint32(s.buf[20:]))
	if n > batchHeadLen+maxBatch {
		return batch{}, errTorn
	}
	s.buf = slices.Grow(s.buf, n-batchHeadLen)[:n]
	if _, err := io.ReadFull(s.r, s.buf[batchHeadLen:]); err != nil {
		return batch{}, tornOr(err)
	}
	if binary.BigEndian.Uint32(s.buf[24:]) != batchSum(s.buf) {
		return batch{}, errTorn
	}
	s.offset += int64(n)
	return batch{
		First:   int64(binary.BigEndian.Uint64(s.buf[8:])),
		Records: int(binary.BigEndian.Uint32(s.buf[16:])),
		body:    s.buf[batchHeadLen:],
	}, nil
}

func tornOr(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return fmt.Errorf("read segment: %w", err)
}

// batchAfter says whether a whole batch lies somewhere beyond s.offset. If so,
// what lies at s.offset was acknowledged and has been damaged since.
func (s *segment) batchAfter() (bool, error) {
	rest, err := io.ReadAll(io.NewSectionReader(s.f, s.offset+1, 1<<40))
	if err != nil {
		return false, fmt.Errorf("read segment %s: %w", s.path, err)
	}
	for {
		i := bytes.Index(rest, []byte(batchMagic))
		if i < 0 {
			return false, nil
		}
		rest = rest[i:]
		t := segment{r: bufio.NewReader(bytes.NewReader(rest))}
		if _, err := t.next(); err == nil {
			return true, nil
		}
		rest = rest[1:]
	}
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, "segments", fmt.Sprintf("%08d.log", number))
}

func keyPath(dir string, number uint64) string {
	return filepath.Join(dir, "keys", fmt.Sprintf("%08d.key", number))
}

// numbered lists the numbers of the files in dir that end so, in order.
func numbered(dir, ext string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var l []uint64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ext); ok {
			if n, err := strconv.ParseUint(name, 10, 64); err == nil {
				l = append(l, n)
			}
		}
	}
	slices.Sort(l)
	return l, nil
}
