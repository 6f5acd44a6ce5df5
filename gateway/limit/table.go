package limit

import (
	"container/list"
	"sync"
	"time"
)

const shards = 64

// table is a bounded map from callers to their counts V. When a shard is full,
// only a caller whose counts are idle is forgotten; while there is none,
// newcomers share one overflow V. So neither many addresses nor a new address
// for each request refills anything.
type table[K comparable, V any] struct{ shards [shards]shard[K, V] }

type shard[K comparable, V any] struct {
	mu       sync.Mutex
	max      int
	idle     func(*V, time.Time) bool
	byKey    map[K]*list.Element // of *item[K, V]
	recent   list.List           // most recently used first
	overflow V
}

type item[K comparable, V any] struct {
	key   K
	value V
}

func newTable[K comparable, V any](max int, idle func(*V, time.Time) bool) *table[K, V] {
	t := new(table[K, V])
	for i := range t.shards {
		t.shards[i].max = max / shards
		t.shards[i].idle = idle
		t.shards[i].byKey = make(map[K]*list.Element)
	}
	return t
}

func (t *table[K, V]) shard(hash uint64) *shard[K, V] { return &t.shards[hash%shards] }

func (t *table[K, V]) size() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.byKey)
		s.mu.Unlock()
	}
	return n
}

// keys are at most n keys, of each shard the most recently used first.
func (t *table[K, V]) keys(n int) (list []K) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for e := s.recent.Front(); e != nil && len(list) < n; e = e.Next() {
			list = append(list, e.Value.(*item[K, V]).key)
		}
		s.mu.Unlock()
	}
	return list
}

// get finds or makes the counts of key; the caller holds s.mu while it uses
// them.
func (s *shard[K, V]) get(key K, now time.Time) *V {
	if e, ok := s.byKey[key]; ok {
		s.recent.MoveToFront(e)
		return &e.Value.(*item[K, V]).value
	}
	if len(s.byKey) >= s.max {
		oldest := s.recent.Back()
		if it := oldest.Value.(*item[K, V]); s.idle(&it.value, now) {
			delete(s.byKey, it.key)
			s.recent.Remove(oldest)
		} else {
			return &s.overflow
		}
	}
	it := &item[K, V]{key: key}
	s.byKey[key] = s.recent.PushFront(it)
	return &it.value
}
