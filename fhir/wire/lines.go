package wire

import (
	"bufio"
	"bytes"
	"io"
)

// Lines reads NDJSON.
type Lines struct {
	r    *bufio.Reader
	max  int64
	at   int64 // offset of the next line
	line []byte
}

// NewLines reads lines of at most max bytes.
func NewLines(r io.Reader, max int64) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

// Next is the next line that is not blank, without its end and unchecked:
// whoever reads it parses it. It is valid until the next call. The error is
// io.EOF at the end, an *Error for a line that is too long, or the reader's.
func (l *Lines) Next() ([]byte, error) {
	for {
		start := l.at
		line, err := l.read()
		if int64(len(line)) > l.max {
			return nil, &Error{start, reasons[tooLong]}
		}
		if err != nil && (err != io.EOF || l.at == start) {
			return nil, err
		}
		if len(line) > 0 {
			return line, nil
		}
	}
}

// read is one line, or the beginning of one that is too long. A line that the
// buffer holds whole is not copied.
func (l *Lines) read() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.at += int64(len(part))
		if err != bufio.ErrBufferFull && len(l.line) == 0 {
			return trim(part), err
		}
		l.line = append(l.line, part...)
		if err != bufio.ErrBufferFull {
			return trim(l.line), err
		}
		if int64(len(l.line)) > l.max+1 { // a carriage return may be its last
			return l.line, nil
		}
	}
}

// trim takes off JSON's white space, and no other that a parser would refuse.
func trim(line []byte) []byte { return bytes.Trim(line, " \t\r\n") }
