// Command soak runs the built gateway under mixed traffic for a set time, prints its
// memory, goroutines and file descriptors, and fails where they keep growing:
// `make soak DURATION=5m`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"
)

func main() {
	duration := flag.Duration("duration", 5*time.Minute, "how long")
	interval := flag.Duration("interval", 10*time.Second, "between two looks at the process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := soak(ctx, *duration, *interval); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(ctx context.Context, duration, interval time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	ctx, stop := context.WithTimeout(ctx, duration)
	defer stop()
	t := &traffic{world: w, counts: map[string]int{}}
	var clients sync.WaitGroup
	for name, client := range t.clients() {
		clients.Go(func() { t.repeat(ctx, name, client) })
	}
	looks := w.look(ctx, interval)
	clients.Wait()
	fmt.Println(t)
	return errors.Join(t.wrong(), flat(looks))
}
