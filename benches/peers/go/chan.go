package main

import (
	"sync"
	"time"
)

const buffer = 128

var chanWorkloads = []workload{
	each("chan_unbuf_pingpong", 500_000, pingPong),
	each("chan_buf_spsc", 3_000_000, func(n int) time.Duration { return stream(1, n) }),
	each("chan_mpmc_4x4", 3_000_000, func(n int) time.Duration { return stream(4, n) }),
}

func pingPong(rounds int) time.Duration {
	return play(rounds, func(pong chan uint64) uint64 { return <-pong })
}

// Sends values to and fro. The goroutine that counts the rounds receives by receive.
func play(rounds int, receive func(pong chan uint64) uint64) time.Duration {
	ping, pong := make(chan uint64), make(chan uint64)
	go func() {
		for n := range ping {
			pong <- n
		}
	}()
	start := time.Now()
	for n := range uint64(rounds) {
		ping <- n
		if receive(pong) != n {
			panic("a ball was lost")
		}
	}
	elapsed := time.Since(start)
	close(ping)
	return elapsed
}

// Sends values through one buffer, from pairs senders to pairs receivers.
func stream(pairs, values int) time.Duration {
	ch := make(chan uint64, buffer)
	received := make(chan int)
	var senders sync.WaitGroup
	start := time.Now()
	for id := range pairs {
		mine := share(values, pairs, id)
		senders.Add(1)
		go func() {
			for n := range uint64(mine) {
				ch <- n
			}
			senders.Done()
		}()
	}
	for range pairs {
		go func() {
			count := 0
			for range ch {
				count++
			}
			received <- count
		}()
	}
	senders.Wait()
	close(ch)
	for range pairs {
		values -= <-received
	}
	if values != 0 {
		panic("values were lost")
	}
	return time.Since(start)
}

// Returns the share of one of the parts.
func share(whole, parts, id int) int {
	if id < whole%parts {
		return whole/parts + 1
	}
	return whole / parts
}
