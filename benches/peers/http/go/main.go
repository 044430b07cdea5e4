// The plaintext server in Go's net/http.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
)

var greeting = []byte("Hello, World!")

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen there")
	workers := flag.Int("workers", 1, "the number of Ps")
	flag.Parse()
	runtime.GOMAXPROCS(*workers)

	mux := http.NewServeMux()
	mux.HandleFunc("/plaintext", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		// Fails if the client is gone. The server then closes the connection.
		_, _ = w.Write(greeting)
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}
