package main

import "time"

var selectWorkloads = []workload{
	each("select2_buf128", 1_000_000, func(n int) time.Duration { return selectTwo(128, n) }),
	each("select8_buf128", 1_000_000, func(n int) time.Duration { return selectEight(128, n) }),
	each("select2_unbuf", 500_000, func(n int) time.Duration { return selectTwo(0, n) }),
	each("select8_unbuf", 500_000, func(n int) time.Duration { return selectEight(0, n) }),
	each("select_default1", 20_000_000, selectDefaultOne),
	each("select_default2", 3_000_000, selectDefaultTwo),
	each("select_done_buf128", 1_000_000, func(n int) time.Duration { return selectDone(128, n) }),
	each("select_done_unbuf", 500_000, func(n int) time.Duration { return selectDone(0, n) }),
}

// Creates channels with a sender each, which together send the given number of values.
func sources(count, capacity, values int) []chan uint64 {
	channels := make([]chan uint64, count)
	for id := range channels {
		ch, mine := make(chan uint64, capacity), share(values, count, id)
		channels[id] = ch
		go func() {
			for n := range uint64(mine) {
				ch <- n
			}
		}()
	}
	return channels
}

func selectTwo(capacity, selects int) time.Duration {
	s := sources(2, capacity, selects)
	a, b := s[0], s[1]
	start := time.Now()
	for range selects {
		select {
		case <-a:
		case <-b:
		}
	}
	return time.Since(start)
}

func selectEight(capacity, selects int) time.Duration {
	s := sources(8, capacity, selects)
	a, b, c, d, e, f, g, h := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	start := time.Now()
	for range selects {
		select {
		case <-a:
		case <-b:
		case <-c:
		case <-d:
		case <-e:
		case <-f:
		case <-g:
		case <-h:
		}
	}
	return time.Since(start)
}

func selectDefaultOne(selects int) time.Duration {
	a := make(chan uint64, 1)
	start := time.Now()
	for range selects {
		select {
		case <-a:
			panic("nothing is sent")
		default:
		}
	}
	return time.Since(start)
}

func selectDefaultTwo(selects int) time.Duration {
	a, b := make(chan uint64, 1), make(chan uint64, 1)
	start := time.Now()
	for range selects {
		select {
		case <-a:
			panic("nothing is sent")
		case <-b:
			panic("nothing is sent")
		default:
		}
	}
	return time.Since(start)
}

// Receives from one channel, each time beside another channel that says when to stop.
func selectDone(capacity, selects int) time.Duration {
	data := sources(1, capacity, selects)[0]
	done := make(chan struct{})
	start := time.Now()
	for range selects {
		select {
		case <-data:
		case <-done:
			panic("it never comes")
		}
	}
	return time.Since(start)
}
