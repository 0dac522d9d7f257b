"""`pegline alarms score`: depegs are put into a tape at random times, and the alarm rule has to find them."""
