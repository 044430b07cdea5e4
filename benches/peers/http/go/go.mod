module peer-http-go

go 1.24
