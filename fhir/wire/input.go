package wire

import (
	"errors"
	"fmt"
	"io"
)

// input is a window on a document that is being read.
type input struct {
	r     io.Reader
	buf   []byte
	at    int   // what is behind buf[at] has not been consumed
	base  int64 // offset of buf[0] in the document
	total int64 // the most that may be read, 0 for no limit
	err   error // why nothing more can be read, io.EOF included
}

func (in *input) fault(f fault) error { return &Error{in.base + int64(in.at), reasons[f]} }

// peek is the next byte that is not white space.
func (in *input) peek() (byte, error) {
	for {
		if in.at = space(in.buf, in.at); in.at < len(in.buf) {
			return in.buf[in.at], nil
		}
		if err := in.more(); err != nil {
			return 0, err
		}
	}
}

// end makes sure that nothing but white space follows, and is then io.EOF.
func (in *input) end() error {
	for {
		if in.at = space(in.buf, in.at); in.at < len(in.buf) {
			return in.fault(trailing)
		}
		if in.err == io.EOF {
			return io.EOF
		}
		if err := in.more(); err != nil && in.err != io.EOF {
			return err
		}
	}
}

// read consumes what scan reads, at most limit bytes. If that is cut off it
// reads on and scans anew, each time with a quarter more, so that the work
// stays linear however small the pieces are that come in.
func (in *input) read(limit int64, scan func(doc []byte, i int) (int, fault)) (start, end int, err error) {
	for {
		end, f := scan(in.buf, in.at)
		// What ends where the buffer does may go on, like a number; a bracket
		// must follow it in any case.
		if f == none && end < len(in.buf) {
			if int64(end-in.at) > limit {
				return 0, 0, in.fault(tooLong)
			}
			start, in.at = in.at, end
			return start, end, nil
		}
		if f != none && f != truncated {
			in.at = end
			return 0, 0, in.fault(f)
		}
		have := len(in.buf) - in.at
		if int64(have) > limit {
			return 0, 0, in.fault(tooLong)
		}
		for want := have + have/4 + 1; len(in.buf)-in.at < want && in.err == nil; {
			if err := in.more(); err != nil && in.err != io.EOF {
				return 0, 0, err
			}
		}
		if in.err != nil && len(in.buf)-in.at == have {
			return 0, 0, in.failure()
		}
	}
}

// more reads some bytes, or says why it cannot.
func (in *input) more() error {
	if in.err != nil {
		return in.failure()
	}
	if in.at > 0 {
		in.base += int64(in.at)
		in.buf = in.buf[:copy(in.buf, in.buf[in.at:])]
		in.at = 0
	}
	if len(in.buf) == cap(in.buf) {
		in.buf = append(make([]byte, 0, max(64<<10, 2*cap(in.buf))), in.buf...)
	}
	for range 100 {
		n, err := in.r.Read(in.buf[len(in.buf):cap(in.buf)])
		in.buf = in.buf[:len(in.buf)+n]
		in.err = err
		if read := in.base + int64(len(in.buf)); in.total > 0 && read > in.total {
			in.buf = in.buf[:in.total-in.base]
			in.err = &Error{in.total, reasons[tooLong]}
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return in.failure()
		}
	}
	in.err = io.ErrNoProgress
	return in.failure()
}

// failure is why a document cannot go on.
func (in *input) failure() error {
	if in.err == io.EOF {
		return &Error{in.base + int64(len(in.buf)), reasons[truncated]}
	}
	if e := (*Error)(nil); errors.As(in.err, &e) {
		return e
	}
	return fmt.Errorf("read bundle: %w", in.err)
}
