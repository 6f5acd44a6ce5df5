package audit

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// appendAll takes records that become durable all together or not at all, and in
// their order.
func (l *Log) appendAll(records []*Record) *Pending {
	s := sealers.Get().(*sealer)
	defer sealers.Put(s)
	for {
		ring, size := l.ring.Load(), 0
		stored, leaves := make([][]byte, len(records)), make([]tlog.Hash, len(records))
		for i, r := range records {
			b, leaf, err := s.seal(ring, r)
			if err != nil {
				return refused(fmt.Errorf("seal audit record: %w", err))
			}
			stored[i], leaves[i], size = bytes.Clone(b), leaf, size+4+len(b)
		}
		l.mu.Lock()
		if l.ring.Load() != ring {
			l.mu.Unlock()
			continue
		}
		p := refused(errFull)
		if len(l.filling.buf)+size <= maxBatch {
			for i, b := range stored {
				p, _ = l.enqueue(b, leaves[i])
			}
		}
		l.mu.Unlock()
		l.nudge()
		return p
	}
}
