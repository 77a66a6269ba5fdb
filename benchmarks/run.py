"""All benchmarks, one after the other; each prints its figures and writes benchmarks/results/.

What a benchmark needs and does not find (data, lava-dl's wheel, frameworks) it leaves out, saying
so.
"""

import accuracy
import activity
import frameworks
import scaling
import speed

if __name__ == "__main__":
    # The clock before torch comes in: its idle threads slow their neighbours down.
    scaling.main()
    activity.main()
    frameworks.main()
    speed.main()
    accuracy.main()
