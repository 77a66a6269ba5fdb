"""All benchmarks, one after the other; each prints its figures and writes benchmarks/results/."""

import accuracy
import speed

if __name__ == "__main__":
    speed.main()
    accuracy.main()
