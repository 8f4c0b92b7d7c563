print("play: later")
