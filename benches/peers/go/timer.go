package main

import "time"

// The number of timers that are pending besides the measured one.
const otherTimers = 10_000

var timerWorkloads = []workload{
	each("timer_new_stop", 1_000_000, timerNewStop),
	each("after_func_stop", 1_000_000, afterFuncStop),
	each("timer_select", 500_000, timerSelect),
}

func timerNewStop(count int) time.Duration {
	return amongOthers(func() {
		for range count {
			if !time.NewTimer(time.Hour).Stop() {
				panic("an hour has not passed")
			}
		}
	})
}

func afterFuncStop(count int) time.Duration {
	return amongOthers(func() {
		for range count {
			if !time.AfterFunc(time.Hour, func() {}).Stop() {
				panic("an hour has not passed")
			}
		}
	})
}

// Times work while other timers are pending, half of them for less than an hour.
func amongOthers(work func()) time.Duration {
	others := make([]*time.Timer, otherTimers)
	for id := range others {
		others[id] = time.AfterFunc(time.Hour/2+time.Hour/otherTimers*time.Duration(id), func() {})
	}
	start := time.Now()
	work()
	elapsed := time.Since(start)
	for _, other := range others {
		other.Stop()
	}
	return elapsed
}

// Sends values to and fro through two unbuffered channels, with a timeout on each way back.
func timerSelect(rounds int) time.Duration {
	return play(rounds, func(pong chan uint64) uint64 {
		select {
		case ball := <-pong:
			return ball
		case <-time.After(time.Hour):
			panic("an hour has not passed")
		}
	})
}
