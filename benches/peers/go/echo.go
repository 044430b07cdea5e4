package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

var echoWorkloads = []workload{
	several("echo_64c", func() []figure { return echo(64) }),
	several("echo_512c", func() []figure { return echo(512) }),
}

// Returns the CPU time of all threads of this process, in microseconds.
func cpuTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	micros := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return micros(usage.Utime) + micros(usage.Stime)
}

// Runs a server, and the client that all peers share in a process of its own.
func echo(connections int) []figure {
	program := os.Getenv("PEER_CLIENT")
	if program == "" {
		refuse("PEER_CLIENT must be the path of one of the Rust peers, which acts as the client")
	}
	client := exec.Command(program, "echo-client", serve(connections), strconv.Itoa(connections))
	client.Stderr = os.Stderr
	output, err := client.StdoutPipe()
	if err == nil {
		err = client.Start()
	}
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "begin" {
		panic("the client does not begin")
	}
	before := cpuTime()
	var requests, nanos, p99 float64
	if !lines.Scan() {
		panic("the client does not end")
	}
	cpu := cpuTime() - before
	if _, err := fmt.Sscan(lines.Text(), &requests, &nanos, &p99); err != nil {
		panic(err)
	}
	if err := client.Wait(); err != nil {
		panic(err)
	}
	return []figure{{"request", nanos / requests}, {"p99", p99 / 1e3}, {"cpu", cpu / requests}}
}

// Accepts the given number of connections, with a goroutine for each.
func serve(connections int) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		defer listener.Close()
		for range connections {
			conn, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go talk(conn)
		}
	}()
	return listener.Addr().String()
}

func talk(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1024)
	for {
		// At the end the client closes the connection, which may be a reset.
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}
