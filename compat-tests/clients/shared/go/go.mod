module klamm/compat/lines

go 1.24.0
